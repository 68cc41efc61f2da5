import type { BlockDevice, Host, Io, IoStatus } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { IoFilter } from './relay.ts'
import { matches, relayed } from './relay.ts'

/** What {@link failing} does. */
export interface FailOptions extends IoFilter {
  /** How a failed Io ends: an errno, or'ed with PATH_ERROR where another path may succeed. */
  status: IoStatus
  /** Share of the Ios that fail, 0 to 1, drawn from `host.random`; default 1. */
  rate?: number
  /** Asked for each Io, last of all conditions; default always. */
  when?: (io: Io) => boolean
}

/** A device or path some of whose Ios fail without reaching the device. */
export function failing<D extends BlockDevice>(device: D, options: FailOptions, host: Host = systemHost): D {
  const { status, rate = 1, when } = options
  const fails = (io: Io): boolean => matches(io, options) && (rate >= 1 || host.random() < rate) && when?.(io) !== false
  return relayed(device, {
    take(relay) {
      if (fails(relay.outer)) host.clock.defer(() => relay.end(status))
      else relay.pass()
    },
    letGo() {},
  })
}
