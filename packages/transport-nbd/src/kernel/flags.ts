import type { DeviceLimits } from '@blockbraid/core'
import { TransmissionFlag } from '../protocol.ts'
import type { KernelSettings } from './options.ts'

/** A flag that only the kernel's client knows (include/uapi/linux/nbd.h). */
const ROTATIONAL = 1 << 4

/** What the kernel is told of a device, as transmission flags; it ignores those that it does not know. */
export function transmissionFlags(limits: DeviceLimits, settings: KernelSettings): number {
  // A flush of any device of core covers every connection.
  let flags = TransmissionFlag.HasFlags | TransmissionFlag.CanMultiConn
  if (settings.rotational) flags |= ROTATIONAL
  // The kernel asks for Fua only where there is a cache.
  if (limits.writeCache) flags |= TransmissionFlag.SendFlush
  if (limits.writeCache && limits.fua) flags |= TransmissionFlag.SendFua
  if (limits.readOnly || settings.readOnly) return flags | TransmissionFlag.ReadOnly
  if (limits.trim) flags |= TransmissionFlag.SendTrim
  if (limits.writeZeroes) flags |= TransmissionFlag.SendWriteZeroes
  return flags
}

/**
 * What requests may be, in the same form. A node that was used before goes on to send Trim and WriteZeroes
 * as it did then, whatever it is told; core does both on every device.
 */
export const ACCEPTED = TransmissionFlag.SendTrim | TransmissionFlag.SendWriteZeroes
