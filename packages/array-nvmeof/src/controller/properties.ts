import { get32le } from '@blockbraid/wire'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import { VERSION } from './identify.ts'
import type { AdminResult } from './result.ts'

/** Offsets of properties (NVMe Base 2.1 §3.1.4). */
const Property = { cap: 0x00, vs: 0x08, cc: 0x14, csts: 0x1c, nssr: 0x20, crto: 0x68 } as const
/** CAP: queues are contiguous; the NVM command set. */
const CONTIGUOUS = 1 << 16
const NVM_COMMANDS = 1 << 5
const WIDE = 1

/** Property Get (NVMe Base 2.1 §6.5). */
export function propertyGet(controller: Controller, { entry }: Request): AdminResult {
  const wide = (entry[40]! & 7) === WIDE
  const offset = get32le(entry, 44)
  const { settings } = controller.host
  // Only CAP has eight bytes.
  if (wide !== (offset === Property.cap)) return Sc.invalidField | DNR
  switch (offset) {
    case Property.cap: {
      const low = (settings.queueSize - 1) | CONTIGUOUS | ((settings.readyTimeout / 500) << 24)
      return { result: low >>> 0, resultHigh: NVM_COMMANDS }
    }
    case Property.vs:
      return { result: VERSION }
    case Property.cc:
      return { result: controller.configuration }
    case Property.csts:
      return { result: controller.status }
    case Property.nssr:
    case Property.crto:
      return { result: 0 }
    default:
      return Sc.invalidField | DNR
  }
}

/** Property Set (NVMe Base 2.1 §6.6): CC is all that can be set. */
export function propertySet(controller: Controller, { entry }: Request): AdminResult {
  if ((entry[40]! & 7) === WIDE || get32le(entry, 44) !== Property.cc) return Sc.invalidField | DNR
  controller.configure(get32le(entry, 48))
  return 0
}
