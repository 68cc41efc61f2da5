import { get16le, get32le } from '@blockbraid/wire'
import { hex, hex64, need } from './bytes.ts'

/** A controller that is registered with a namespace. */
export interface NvmeRegistrant {
  /** CNTLID; FFFFh: not told. */
  readonly controller: number
  /** Its host holds the reservation. */
  readonly holder: boolean
  /** Its key, `0x` and 16 hex digits. */
  readonly key: string
  /** Host identifier: 32 hex digits, 16 where it is a short one. */
  readonly hostId: string
}

/** The reservations of a namespace. */
export interface NvmeReservations {
  /** Counts changes of the registrations. */
  readonly generation: number
  /** One of {@link NvmeReservationType}; 0: nobody holds one. */
  readonly type: number
  /** How many controllers are registered: with more than `registrants` the list is cut. */
  readonly count: number
  /** Registrations are kept over a loss of power. */
  readonly persist: boolean
  /** Those whose data came whole. */
  readonly registrants: readonly NvmeRegistrant[]
}

const HEAD = 24
const EXTENDED_HEAD = 64

/** Decodes Reservation Report data (NVMe Base 2.1 §7.5), by default with host identifiers of 16 bytes. PROTOCOL without a whole head. */
export function decodeReservations(bytes: Uint8Array, extended = true): NvmeReservations {
  const head = extended ? EXTENDED_HEAD : HEAD
  const size = extended ? 64 : 24
  need(bytes, head, 'a reservation report')
  const count = get16le(bytes, 5)
  const registrants: NvmeRegistrant[] = []
  for (let at = head; at + size <= bytes.length && registrants.length < count; at += size) {
    registrants.push({
      controller: get16le(bytes, at),
      holder: (bytes[at + 2]! & 1) !== 0,
      key: `0x${hex64(bytes, at + (extended ? 8 : 16))}`,
      hostId: extended ? hex(bytes.subarray(at + 16, at + 32)) : hex64(bytes, at + 8),
    })
  }
  return { generation: get32le(bytes, 0), type: bytes[4]!, count, persist: bytes[9] !== 0, registrants }
}
