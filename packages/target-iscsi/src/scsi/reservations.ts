import { BlockError } from '@blockbraid/core'
import { get16, get32 } from '@blockbraid/wire'
import { hex, printable, slice } from './bytes.ts'

/** Registered keys; each is written `0x` and 16 hex digits. */
export interface ReservationKeys {
  /** Counts changes of the registrations. */
  readonly generation: number
  /** One key for each registered I_T nexus, so that a key can be there more than once. */
  readonly keys: readonly string[]
  /** Bytes of the whole answer: with more than were received the list is cut. */
  readonly length: number
}

/** A reservation that is held. */
export interface Reservation {
  /** Counts changes of the registrations. */
  readonly generation: number
  /** Undefined where nobody holds one. */
  readonly held:
    | {
        /** Key of the holder, `0x` and 16 hex digits; zero where all registrants hold it. */
        readonly key: string
        /** One of {@link ReservationType}. */
        readonly type: number
        /** What is reserved: 0 is the whole logical unit. */
        readonly scope: number
      }
    | undefined
}

/** What the array can do with reservations. */
export interface ReservationCapabilities {
  /** Registration through every target port at once. */
  readonly allPorts: boolean
  /** Registrations can be kept over a loss of power (PTPL_C). */
  readonly persist: boolean
  /** Registrations now are kept over a loss of power (PTPL_A). */
  readonly persistActive: boolean
  /** RESERVE(6) by a holder is answered as SPC-2 wants it. */
  readonly compatible: boolean
  /** REPLACE LOST RESERVATION is supported. */
  readonly replaceLost: boolean
  /** Types it offers; undefined where it does not tell. */
  readonly types: readonly number[] | undefined
}

/** One registered I_T nexus. */
export interface Registrant {
  /** Its key, `0x` and 16 hex digits. */
  readonly key: string
  /** It holds the reservation, with this type and scope. */
  readonly holder: boolean
  /** One of {@link ReservationType}; means nothing where it is no holder. */
  readonly type: number
  /** What is reserved: 0 is the whole logical unit; means nothing where it is no holder. */
  readonly scope: number
  /** Registered through every target port. */
  readonly allPorts: boolean
  /** Relative target port identifier of its target port; means nothing with `allPorts`. */
  readonly relativePort: number
  /** The initiator: an iSCSI name, with its ISID where told; hex digits of a TransportID of another kind. */
  readonly initiator: string
}

/** Every registered I_T nexus. */
export interface ReservationStatus {
  /** Counts changes of the registrations. */
  readonly generation: number
  /** The registrants in the order of the answer. */
  readonly registrants: readonly Registrant[]
  /** Bytes of the whole answer: with more than were received the list is cut. */
  readonly length: number
}

/** Decodes READ KEYS data (SPC-5): the whole keys of a cut list. PROTOCOL without a whole head. */
export function decodeReservationKeys(bytes: Uint8Array): ReservationKeys {
  need(bytes, 8, 'READ KEYS')
  const length = 8 + get32(bytes, 4)
  const end = Math.min(length, bytes.length)
  const keys: string[] = []
  for (let at = 8; at + 8 <= end; at += 8) keys.push(readKey(bytes, at))
  return { generation: get32(bytes, 0), keys, length }
}

/** Decodes READ RESERVATION data (SPC-5). PROTOCOL when cut. */
export function decodeReservation(bytes: Uint8Array): Reservation {
  need(bytes, 8, 'READ RESERVATION')
  const generation = get32(bytes, 0)
  if (get32(bytes, 4) === 0) return { generation, held: undefined }
  need(bytes, 22, 'READ RESERVATION')
  return { generation, held: { key: readKey(bytes, 8), type: bytes[21]! & 0x0f, scope: bytes[21]! >>> 4 } }
}

const TYPE_BITS: readonly (readonly [bit: number, type: number])[] = [
  [0x0200, 1],
  [0x0800, 3],
  [0x2000, 5],
  [0x4000, 6],
  [0x8000, 7],
  [0x0001, 8],
]

/** Decodes REPORT CAPABILITIES data (SPC-5). PROTOCOL when cut. */
export function decodeReservationCapabilities(bytes: Uint8Array): ReservationCapabilities {
  need(bytes, 6, 'REPORT CAPABILITIES')
  const flags = bytes[2]!
  const mask = get16(bytes, 4)
  return {
    allPorts: (flags & 0x04) !== 0,
    persist: (flags & 0x01) !== 0,
    persistActive: (bytes[3]! & 0x01) !== 0,
    compatible: (flags & 0x10) !== 0,
    replaceLost: (flags & 0x80) !== 0,
    types:
      (bytes[3]! & 0x80) === 0 ? undefined : TYPE_BITS.filter(([bit]) => (mask & bit) !== 0).map(([, type]) => type),
  }
}

/** Decodes READ FULL STATUS data (SPC-5): the whole descriptors of a cut list. PROTOCOL without a whole head. */
export function decodeReservationStatus(bytes: Uint8Array): ReservationStatus {
  need(bytes, 8, 'READ FULL STATUS')
  const length = 8 + get32(bytes, 4)
  const end = Math.min(length, bytes.length)
  const registrants: Registrant[] = []
  let at = 8
  while (at + 24 <= end) {
    const next = at + 24 + get32(bytes, at + 20)
    if (next > end) break
    registrants.push(readRegistrant(bytes, at, next))
    at = next
  }
  return { generation: get32(bytes, 0), registrants, length }
}

function readRegistrant(bytes: Uint8Array, at: number, end: number): Registrant {
  const flags = bytes[at + 12]!
  return {
    key: readKey(bytes, at),
    holder: (flags & 0x01) !== 0,
    type: bytes[at + 13]! & 0x0f,
    scope: bytes[at + 13]! >>> 4,
    allPorts: (flags & 0x02) !== 0,
    relativePort: get16(bytes, at + 18),
    initiator: initiatorOf(bytes.subarray(at + 24, end)),
  }
}

const ISCSI = 5

/** The name in a TransportID. */
function initiatorOf(id: Uint8Array): string {
  if (id.length < 4 || (id[0]! & 0x0f) !== ISCSI) return hex(id)
  return printable(slice(id, 4, 4 + get16(id, 2)))
}

function readKey(bytes: Uint8Array, at: number): string {
  return `0x${hex(bytes.subarray(at, at + 8))}`
}

function need(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length < length) throw new BlockError('PROTOCOL', `${what} data of ${bytes.length} bytes is too short`)
}
