import { get32le } from '@blockbraid/wire'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import type { AdminResult } from './result.ts'

const Feature = {
  arbitration: 0x01,
  power: 0x02,
  temperature: 0x04,
  errorRecovery: 0x05,
  writeCache: 0x06,
  queues: 0x07,
  atomicity: 0x0a,
  asyncEvents: 0x0b,
  keepAlive: 0x0f,
  hostBehaviour: 0x16,
  hostId: 0x81,
  reservationNotices: 0x82,
  reservationPersistence: 0x83,
} as const

/** Those that are kept for their host, and have no effect here. */
const kept: readonly number[] = [
  Feature.arbitration,
  Feature.power,
  Feature.temperature,
  Feature.errorRecovery,
  Feature.writeCache,
  Feature.atomicity,
  Feature.reservationNotices,
]
const ofDiscovery: readonly number[] = [Feature.asyncEvents, Feature.keepAlive]
const UNKNOWN = Sc.invalidField | DNR
const CHANGEABLE = 0x04
const SAVE = 0x8000_0000

/** Set Features (NVMe Base 2.1 §5.1.25). */
export function setFeatures(controller: Controller, { entry }: Request, data: Buffer): AdminResult {
  const fid = entry[40]!
  const value = get32le(entry, 44)
  const { features } = controller
  if (controller.discovery && !ofDiscovery.includes(fid)) return UNKNOWN
  if ((get32le(entry, 40) & SAVE) !== 0) return Sc.notSaveable | DNR
  switch (fid) {
    case Feature.queues: {
      const wanted = Math.min(value & 0xffff, value >>> 16)
      if (wanted === 0xffff) return UNKNOWN
      // Once there are I/O queues it is too late.
      if (controller.links.size > 1) return Sc.sequenceError | DNR
      features.queues = Math.min(wanted + 1, controller.host.settings.queues)
      return { result: queuesValue(controller) }
    }
    case Feature.asyncEvents:
      controller.events.enabled = value
      return 0
    case Feature.keepAlive:
      controller.setKeepAlive(value)
      return 0
    case Feature.hostBehaviour:
      if (data.length < features.behaviour.length) return Sc.dataLength | DNR
      if (data[0]! > 1) return UNKNOWN
      data.copy(features.behaviour)
      features.retryDelays = data[0] === 1
      return 0
    case Feature.hostId:
      // Connect has told it, once and for all.
      return Sc.sequenceError | DNR
    default:
      if (!kept.includes(fid)) return fid === Feature.reservationPersistence ? Sc.notChangeable | DNR : UNKNOWN
      features.values.set(fid, value)
      return 0
  }
}

/** Get Features (NVMe Base 2.1 §5.1.11). */
export function getFeatures(controller: Controller, { entry }: Request): AdminResult {
  const fid = entry[40]!
  const select = entry[41]! & 0x07
  const { features } = controller
  if (select > 3 || (controller.discovery && !ofDiscovery.includes(fid))) return UNKNOWN
  if (select === 3) return known(fid) ? { result: CHANGEABLE } : UNKNOWN
  switch (fid) {
    case Feature.queues:
      return { result: queuesValue(controller) }
    case Feature.asyncEvents:
      return { result: controller.events.enabled }
    case Feature.keepAlive:
      return { result: controller.keepAlive.timeout }
    case Feature.hostBehaviour:
      return Buffer.from(features.behaviour)
    case Feature.hostId:
      return (get32le(entry, 44) & 1) === 0 ? UNKNOWN : Buffer.from(controller.hostId, 'hex')
    case Feature.reservationPersistence:
      return { result: 0 }
    default:
      return kept.includes(fid) ? { result: features.values.get(fid) ?? defaultOf(fid) } : UNKNOWN
  }
}

function known(fid: number): boolean {
  return (Object.values(Feature) as number[]).includes(fid)
}

function defaultOf(fid: number): number {
  return fid === Feature.writeCache ? 1 : 0
}

function queuesValue({ features }: Controller): number {
  const count = features.queues - 1
  return ((count << 16) | count) >>> 0
}
