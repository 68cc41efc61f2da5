import { put32 } from '@blockbraid/wire'
import type { ScsiCommand } from './cdb.ts'
import { checked, make } from './cdb.ts'

/** Service actions of PERSISTENT RESERVE IN (SPC-5). */
export const ReserveIn = {
  /** Registered keys; the answer is for {@link decodeReservationKeys}. */
  ReadKeys: 0,
  /** The reservation that is held; the answer is for {@link decodeReservation}. */
  ReadReservation: 1,
  /** What the array can do; the answer is for {@link decodeReservationCapabilities}. */
  ReportCapabilities: 2,
  /** Every registered I_T nexus; the answer is for {@link decodeReservationStatus}. */
  ReadFullStatus: 3,
} as const

/** Service actions of PERSISTENT RESERVE OUT (SPC-5) whose parameters have 24 bytes. */
export const ReserveOut = {
  /** Registers `serviceKey` in place of `key`, or ends the registration where it is 0. */
  Register: 0,
  /** Makes a reservation of `type`. */
  Reserve: 1,
  /** Gives the reservation up; registrations stay. */
  Release: 2,
  /** Ends the reservation and every registration. */
  Clear: 3,
  /** Ends the registrations with `serviceKey`, and takes over the reservation where they held it. */
  Preempt: 4,
  /** As Preempt, and aborts the commands of those whose registrations end. */
  PreemptAndAbort: 5,
  /** As Register, whatever key is registered; `key` is ignored. */
  RegisterAndIgnore: 6,
} as const

/** Types of persistent reservations (SPC-5). */
export const ReservationType = {
  /** The holder alone writes; everyone reads. */
  WriteExclusive: 1,
  /** The holder alone reads and writes. */
  ExclusiveAccess: 3,
  /** Registrants alone write; everyone reads; one of them is the holder. */
  WriteExclusiveRegistrants: 5,
  /** Registrants alone read and write; one of them is the holder. */
  ExclusiveAccessRegistrants: 6,
  /** Registrants alone write; everyone reads; every registrant is a holder. */
  WriteExclusiveAllRegistrants: 7,
  /** Registrants alone read and write; every registrant is a holder. */
  ExclusiveAccessAllRegistrants: 8,
} as const

/** Parameters of PERSISTENT RESERVE OUT. Keys are written `0x` and up to 16 hex digits; default 0. */
export interface ReserveOutOptions {
  /** Key this host has registered. */
  key?: string
  /** Key to register, or the one to preempt. */
  serviceKey?: string
  /** One of {@link ReservationType}, for Reserve, Release and Preempt. */
  type?: number
  /** Keep registrations over a loss of power. Default false. */
  persist?: boolean
  /** Register through every target port. Default false. */
  allPorts?: boolean
}

/** PERSISTENT RESERVE IN; `action` is one of {@link ReserveIn}. Default 8 KiB. */
export function persistentReserveIn(action: number, length = 8192): ScsiCommand {
  return make(10, length, (cdb) => {
    cdb[0] = 0x5e
    cdb[1] = checked('action', action, 0x1f)
    checked('length', length, 0xffff)
    cdb[7] = length >>> 8
    cdb[8] = length
  })
}

/** PERSISTENT RESERVE OUT of the whole logical unit; `action` is one of {@link ReserveOut}. */
export function persistentReserveOut(action: number, options: ReserveOutOptions = {}): ScsiCommand {
  const data = new Uint8Array(24)
  putKey(data, 0, 'key', options.key ?? '0x0')
  putKey(data, 8, 'serviceKey', options.serviceKey ?? '0x0')
  data[20] = (options.allPorts ? 0x04 : 0) | (options.persist ? 0x01 : 0)
  return make(10, data, (cdb) => {
    cdb[0] = 0x5f
    cdb[1] = checked('action', action, 0x1f)
    cdb[2] = checked('type', options.type ?? 0, 0x0f)
    put32(cdb, 5, data.length)
  })
}

function putKey(out: Uint8Array, at: number, field: string, key: string): void {
  if (!/^0x[0-9a-f]{1,16}$/i.test(key)) throw new TypeError(`${field}: ${key} is not 0x and 1 to 16 hex digits`)
  const digits = key.slice(2).padStart(16, '0')
  put32(out, at, Number.parseInt(digits.slice(0, 8), 16))
  put32(out, at + 4, Number.parseInt(digits.slice(8), 16))
}
