import { Errno, IoOp } from '@blockbraid/core'
import type { Export } from '../export.ts'
import { Command, CommandFlag, MAX_PAYLOAD, ReplyStyle, TransmissionFlag } from '../protocol.ts'
import { MAX_STATUS_PAYLOAD } from './block-status.ts'
import type { RequestParser } from './request-parser.ts'

/** What a client and the server agreed on in the handshake. */
export interface Negotiated {
  readonly style: ReplyStyle
  /** Whether `base:allocation` was selected. */
  readonly allocation: boolean
  /** Transmission flags, as the client was told. */
  readonly flags: number
}

const CHANGES = [Command.Write, Command.Trim, Command.WriteZeroes]
const COMMANDS = Command.BlockStatus + 1
const NOT_OFFERED = -1
/** The client was told that the export is read-only, and cannot be told otherwise: for it, it stays so. */
const REFUSED = -2

/**
 * Command flags allowed per command; {@link NOT_OFFERED} where the command itself is not, {@link REFUSED} where it would
 * change what the client was told cannot be changed.
 */
export function allowedFlags(negotiated: Negotiated): Int32Array {
  const { style, allocation, flags } = negotiated
  const offered = (flag: number): boolean => (flags & flag) !== 0
  const extended = style === ReplyStyle.Extended
  const table = new Int32Array(COMMANDS).fill(CommandFlag.Fua)
  if (offered(TransmissionFlag.SendDf)) table[Command.Read]! |= CommandFlag.DontFragment
  if (extended) table[Command.Write]! |= CommandFlag.PayloadLength
  if (!offered(TransmissionFlag.SendTrim)) table[Command.Trim] = NOT_OFFERED
  if (offered(TransmissionFlag.SendWriteZeroes)) {
    table[Command.WriteZeroes]! |= CommandFlag.NoHole | CommandFlag.FastZero
  } else table[Command.WriteZeroes] = NOT_OFFERED
  if (allocation) {
    table[Command.BlockStatus]! |= CommandFlag.ReqOne
    if (offered(TransmissionFlag.BlockStatusPayload)) table[Command.BlockStatus]! |= CommandFlag.PayloadLength
  } else table[Command.BlockStatus] = NOT_OFFERED
  if (offered(TransmissionFlag.ReadOnly)) for (const command of CHANGES) table[command] = REFUSED
  return table
}

/**
 * Whether a header announces `length` bytes of payload. WRITE always has them: extended headers want the flag beside
 * it, but qemu from 8.2 on leaves that off and sends its data all the same.
 */
export function hasPayload(command: number, flags: number): boolean {
  return command === Command.Write || (flags & CommandFlag.PayloadLength) !== 0
}

/** The Io op of a command that becomes an Io; -1 for the others. */
export function opOf(command: number): IoOp | -1 {
  switch (command) {
    case Command.Read:
      return IoOp.Read
    case Command.Write:
      return IoOp.Write
    case Command.Flush:
      return IoOp.Flush
    case Command.Trim:
      return IoOp.Trim
    case Command.WriteZeroes:
      return IoOp.WriteZeroes
    default:
      return -1
  }
}

/** Whether a command may change what is stored. */
export function changesData(command: number): boolean {
  return command === Command.Write || command === Command.Trim || command === Command.WriteZeroes
}

// Where zeroes are written one by one, a single request must not keep the device busy without end. The
// kernel's client asks for 4 GiB at most.
const MAX_EMULATED_ZEROES = 2 ** 32

/** The errno for a range that the export does not have, or 0; for commands that core does not check. */
export function rangeError(target: Export, offset: number, length: number): number {
  const { size, blockSize } = target.device.limits
  if (offset % blockSize !== 0 || length % blockSize !== 0) return Errno.EINVAL
  return offset > size || length > size - offset ? Errno.EINVAL : 0
}

/** The NBD error for a header that NBD itself forbids, or 0. Ranges are left to the device. */
export function headerError(parser: RequestParser, target: Export, style: ReplyStyle, allowed: Int32Array): number {
  const { command, flags, length } = parser
  if (command >= COMMANDS) return Errno.EINVAL
  if (target.detaching) return Errno.ESHUTDOWN
  if (changesData(command) && (allowed[command] === REFUSED || target.refusesChanges)) return Errno.EPERM
  const valid = allowed[command]!
  if (valid === NOT_OFFERED || (flags & ~valid) !== 0) return Errno.EINVAL
  const offsetTooLarge = parser.offsetHigh >= 2 ** 21 || length > Number.MAX_SAFE_INTEGER
  if (command === Command.Flush) {
    return parser.offsetHigh === 0 && parser.offsetLow === 0 && length === 0 ? 0 : Errno.EINVAL
  }
  if (length === 0) return Errno.EINVAL
  if (offsetTooLarge) return changesData(command) && command !== Command.Trim ? Errno.ENOSPC : Errno.EINVAL
  if (command === Command.Read && length > MAX_PAYLOAD) {
    // EOVERFLOW is only known to clients that were offered DF.
    return style === ReplyStyle.Simple ? Errno.EINVAL : Errno.EOVERFLOW
  }
  if (command === Command.WriteZeroes && length > MAX_EMULATED_ZEROES && !target.device.limits.writeZeroes) {
    return Errno.EINVAL
  }
  if (command === Command.BlockStatus && hasPayload(command, flags) && length > MAX_STATUS_PAYLOAD) return Errno.EINVAL
  return 0
}
