import { put32le } from '@blockbraid/wire'
import { SQE_LENGTH } from './procedure.ts'

/** An NVMe command without its data: the fields of its submission queue entry that are its sender's. */
export interface NvmeCommand {
  /** Whether it goes to the admin queue; else to an I/O queue. */
  readonly admin: boolean
  /** Opcode, 0 to FFh. */
  readonly opcode: number
  /** Namespace; FFFFFFFFh: every one. @defaultValue 0 */
  readonly nsid?: number
  /** Command dword 10. @defaultValue 0 */
  readonly cdw10?: number
  /** Command dword 11. @defaultValue 0 */
  readonly cdw11?: number
  /** Command dword 12. @defaultValue 0 */
  readonly cdw12?: number
  /** Command dword 13. @defaultValue 0 */
  readonly cdw13?: number
  /** Command dword 14. @defaultValue 0 */
  readonly cdw14?: number
  /** Command dword 15. @defaultValue 0 */
  readonly cdw15?: number
}

/** A command with its data. */
export interface NvmeRequest {
  /** The command. */
  readonly command: NvmeCommand
  /** Bytes to send, or how many to receive at most; 0: no data. */
  readonly data: Uint8Array | number
}

/** Namespace of a command that is for all of them. */
export const EVERY_NAMESPACE = 0xffff_ffff

/** Byte 1 of every entry over a fabric: its data is told by an SGL (NVMe Base 2.1 §4.1). */
export const USES_SGL = 0x40

/** Writes a command as a submission queue entry of {@link SQE_LENGTH} bytes; CID and SGL are left zero. */
export function putCommand(out: Uint8Array, command: NvmeCommand): void {
  out.fill(0, 0, SQE_LENGTH)
  out[0] = command.opcode
  out[1] = USES_SGL
  put32le(out, 4, command.nsid ?? 0)
  put32le(out, 40, command.cdw10 ?? 0)
  put32le(out, 44, command.cdw11 ?? 0)
  put32le(out, 48, command.cdw12 ?? 0)
  put32le(out, 52, command.cdw13 ?? 0)
  put32le(out, 56, command.cdw14 ?? 0)
  put32le(out, 60, command.cdw15 ?? 0)
}

/** A request of the admin queue. */
export function admin(
  opcode: number,
  data: Uint8Array | number = 0,
  fields: Omit<NvmeCommand, 'admin' | 'opcode'> = {},
): NvmeRequest {
  return { command: { admin: true, opcode, ...fields }, data }
}

/** A request of an I/O queue. */
export function io(
  opcode: number,
  data: Uint8Array | number = 0,
  fields: Omit<NvmeCommand, 'admin' | 'opcode'> = {},
): NvmeRequest {
  return { command: { admin: false, opcode, ...fields }, data }
}

/** `value` when it is an integer from 0 to `max`, else a TypeError that names the field. */
export function checked(field: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new TypeError(`${field}: ${value} is not an integer from 0 to ${max}`)
  }
  return value
}
