import type { Place } from './place.ts'
import { parsePortal } from './portal.ts'

/** What a fence token says: a controller that a process had, and the namespace that it sent to. */
export interface LeftController {
  readonly place: Place
  readonly nsid: number
  /** CNTLID, CIU and CIRN. */
  readonly id: number
  readonly instance: number
  readonly instanceRandom: string
  readonly model: string
  readonly serial: string
  /** Milliseconds; 0: it watches nobody. */
  readonly keepAliveTimeout: number
  readonly trafficBased: boolean
  /** Milliseconds; 0: it does not say. */
  readonly quiesceTime: number
  /** Whether it has ended only when its subsystem has forgotten it. */
  readonly endsLate: boolean
}

const PREFIX = 'nvme-tcp:'
const VERSION = 1
const MAX_LENGTH = 4096

/** `nvme-tcp:` and JSON that another process can read, whatever its config. */
export function fenceToken(left: LeftController): string {
  const { hostNqn, hostId, subNqn, portal } = left.place
  const fields = {
    version: VERSION,
    hostNqn,
    hostId,
    subNqn,
    portal: portal.address,
    nsid: left.nsid,
    cntlid: left.id,
    ciu: left.instance,
    cirn: left.instanceRandom,
    model: left.model,
    serial: left.serial,
    kato: left.keepAliveTimeout,
    tbkas: left.trafficBased,
    cqt: left.quiesceTime,
    late: left.endsLate,
  }
  return `${PREFIX}${JSON.stringify(fields)}`
}

/** Reads what `fenceToken` wrote; undefined for anything else. */
export function parseFenceToken(text: string): LeftController | undefined {
  if (!text.startsWith(PREFIX) || text.length > MAX_LENGTH) return undefined
  const fields = fieldsOf(text.slice(PREFIX.length))
  if (fields?.['version'] !== VERSION) return undefined
  const { hostNqn, hostId, subNqn, portal: address, nsid, cntlid, ciu, cirn, model, serial } = fields
  const { kato, tbkas, cqt, late } = fields
  if (!isNqn(hostNqn) || !isNqn(subNqn) || !isLike(hostId, UUID) || !isLike(address, LINE)) return undefined
  if (!isLike(cirn, RANDOM) || !isLike(model, LINE) || !isLike(serial, LINE) || typeof tbkas !== 'boolean') {
    return undefined
  }
  if (typeof late !== 'boolean') return undefined
  if (!isWithin(nsid, 0xffff_ffff) || !isWithin(cntlid, 0xffff) || !isWithin(ciu, 0xff)) return undefined
  if (!isWithin(kato, 0xffff_ffff) || !isWithin(cqt, 0xffff)) return undefined
  const portal = parsePortal(address)
  if (portal === undefined) return undefined
  return {
    place: { hostNqn, hostId, subNqn, portal },
    nsid,
    id: cntlid,
    instance: ciu,
    instanceRandom: cirn,
    model,
    serial,
    keepAliveTimeout: kato,
    trafficBased: tbkas,
    quiesceTime: cqt,
    endsLate: late,
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const RANDOM = /^[0-9a-f]{16}$/
// Nothing that could end a line of a log.
const LINE = /^[^\p{Cc}\p{Zl}\p{Zp}]{0,300}$/u
// NVMe Base 2.1 §4.7: at most 223 bytes of UTF-8.
const NQN = /^nqn\.[^\p{Cc}\p{Z}]+$/u
const NQN_LENGTH = 223

function fieldsOf(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function isLike(value: unknown, shape: RegExp): value is string {
  return typeof value === 'string' && shape.test(value)
}

function isNqn(value: unknown): value is string {
  return isLike(value, NQN) && Buffer.byteLength(value) <= NQN_LENGTH
}

function isWithin(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most
}
