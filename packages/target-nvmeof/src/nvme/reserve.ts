import { put32le } from '@blockbraid/wire'
import type { NvmeRequest } from './command.ts'
import { checked, EVERY_NAMESPACE, io } from './command.ts'
import { IoOpcode } from './opcode.ts'

/** Actions of Reservation Register (NVMe Base 2.1 §7.3). */
export const RegisterAction = {
  /** Registers the new key. */
  Register: 0,
  /** Ends the registration. */
  Unregister: 1,
  /** Puts the new key in place of the one that is registered. */
  Replace: 2,
} as const

/** Actions of Reservation Acquire (NVMe Base 2.1 §7.2). */
export const AcquireAction = {
  /** Makes a reservation. */
  Acquire: 0,
  /** Ends the registrations of the other key, and takes over the reservation where they held it. */
  Preempt: 1,
  /** As Preempt, and aborts the commands of those whose registrations end. */
  PreemptAndAbort: 2,
} as const

/** Actions of Reservation Release (NVMe Base 2.1 §7.4). */
export const ReleaseAction = {
  /** Gives the reservation up; registrations stay. */
  Release: 0,
  /** Ends the reservation and every registration. */
  Clear: 1,
} as const

/** Types of reservations (NVMe Base 2.1 §8.1.22); their numbers are not those of SCSI. */
export const NvmeReservationType = {
  /** The holder alone writes; everyone reads. */
  WriteExclusive: 1,
  /** The holder alone reads and writes. */
  ExclusiveAccess: 2,
  /** Registrants alone write; everyone reads; one of them is the holder. */
  WriteExclusiveRegistrants: 3,
  /** Registrants alone read and write; one of them is the holder. */
  ExclusiveAccessRegistrants: 4,
  /** Registrants alone write; everyone reads; every registrant is a holder. */
  WriteExclusiveAllRegistrants: 5,
  /** Registrants alone read and write; every registrant is a holder. */
  ExclusiveAccessAllRegistrants: 6,
} as const

/** Parameters of the commands that change reservations. Keys are written `0x` and up to 16 hex digits; default 0. */
export interface NvmeReserveOptions {
  /** Key this host has registered. */
  readonly key?: string
  /** Register: the new key. Acquire: the key to preempt. */
  readonly otherKey?: string
  /** One of {@link NvmeReservationType}, for Acquire and Release. */
  readonly type?: number
  /** Whatever key is registered: `key` is not looked at (IEKEY). */
  readonly ignoreKey?: boolean
  /** Register: whether registrations are kept over a loss of power; left out: as it is. */
  readonly persist?: boolean
}

/** Reservation Register; `action` is one of {@link RegisterAction}. */
export function reservationRegister(nsid: number, action: number, options: NvmeReserveOptions = {}): NvmeRequest {
  const persist = options.persist === undefined ? 0 : options.persist ? 3 : 2
  return change(IoOpcode.ReservationRegister, nsid, action, options, persist * 2 ** 30)
}

/** Reservation Acquire; `action` is one of {@link AcquireAction}. */
export function reservationAcquire(nsid: number, action: number, options: NvmeReserveOptions = {}): NvmeRequest {
  return change(IoOpcode.ReservationAcquire, nsid, action, options, typeBits(options))
}

/** Reservation Release; `action` is one of {@link ReleaseAction}. */
export function reservationRelease(nsid: number, action: number, options: NvmeReserveOptions = {}): NvmeRequest {
  return change(IoOpcode.ReservationRelease, nsid, action, options, typeBits(options))
}

const EXTENDED = 1

/** Reservation Report with host identifiers of 16 bytes; the answer is for {@link decodeReservations}. Default 4 KiB. */
export function reservationReport(nsid: number, length = 4096): NvmeRequest {
  if (length % 4 !== 0 || length < 64) throw new TypeError(`length: ${length} is no multiple of 4 from 64 on`)
  return io(IoOpcode.ReservationReport, length, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10: checked('length', length / 4 - 1, 0xffff_ffff),
    cdw11: EXTENDED,
  })
}

function change(
  opcode: number,
  nsid: number,
  action: number,
  { key = '0x0', otherKey = '0x0', ignoreKey = false }: NvmeReserveOptions,
  bits: number,
): NvmeRequest {
  // Release has one key alone.
  const data = new Uint8Array(opcode === IoOpcode.ReservationRelease ? 8 : 16)
  putKey(data, 0, 'key', key)
  if (data.length > 8) putKey(data, 8, 'otherKey', otherKey)
  return io(opcode, data, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10: checked('action', action, 7) + (ignoreKey ? 8 : 0) + bits,
  })
}

function typeBits({ type = 0 }: NvmeReserveOptions): number {
  return checked('type', type, 0xff) * 0x100
}

function putKey(out: Uint8Array, at: number, field: string, key: string): void {
  if (!/^0x[0-9a-f]{1,16}$/i.test(key)) throw new TypeError(`${field}: ${key} is not 0x and 1 to 16 hex digits`)
  const digits = key.slice(2).padStart(16, '0')
  put32le(out, at + 4, Number.parseInt(digits.slice(0, 8), 16))
  put32le(out, at, Number.parseInt(digits.slice(8), 16))
}
