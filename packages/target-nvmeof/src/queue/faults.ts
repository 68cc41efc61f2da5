import type { Fault } from '../pdu/fault.ts'
import { Fes, fault } from '../pdu/fault.ts'
import type { Command } from './command.ts'
import { Direction } from './command.ts'

// Bytes of the header.
const CID = 8
const OFFSET = 12
const LENGTH = 16

/** What is wrong with C2HData of `length` bytes at `offset` (NVMe/TCP Transport 1.1 §3.6.2.9); undefined when nothing is. */
export function dataFault(
  command: Command | undefined,
  cid: number,
  offset: number,
  length: number,
): Fault | undefined {
  if (command === undefined) return fault(Fes.InvalidField, CID, `C2HData for CID ${cid}, which no command has`)
  if (command.direction !== Direction.Read) {
    return fault(Fes.InvalidField, CID, 'C2HData for a command that reads nothing')
  }
  if (offset !== command.received) {
    const reason = `C2HData at byte ${offset} of a command, expected at ${command.received}`
    return fault(Fes.OutOfRange, OFFSET, reason)
  }
  if (offset + length <= command.length) return undefined
  const reason = `C2HData up to byte ${offset + length} of a command of ${command.length} bytes`
  return fault(Fes.OutOfRange, LENGTH, reason)
}

/** What is wrong with an R2T for `length` bytes at `offset` (§3.6.2.10), `left` bytes having left; undefined when nothing is. */
export function readyFault(
  command: Command | undefined,
  cid: number,
  offset: number,
  length: number,
  left: number,
): Fault | undefined {
  if (command === undefined) return fault(Fes.InvalidField, CID, `R2T for CID ${cid}, which no command has`)
  if (command.direction !== Direction.Write) {
    return fault(Fes.InvalidField, CID, 'R2T for a command that writes nothing')
  }
  // Whoever asks has not seen all of what was sent before.
  if (command.sentUpTo > left) return fault(Fes.LimitExceeded, CID, 'R2T while another is being served')
  if (length === 0) return fault(Fes.InvalidField, LENGTH, 'R2T for no bytes')
  if (offset !== command.sent) {
    const reason = `R2T at byte ${offset} of a command of which ${command.sent} bytes were sent`
    return fault(Fes.OutOfRange, OFFSET, reason)
  }
  if (offset + length <= command.length) return undefined
  const reason = `R2T up to byte ${offset + length} of a command of ${command.length} bytes`
  return fault(Fes.OutOfRange, LENGTH, reason)
}

/** What is wrong with a success; undefined when nothing is. */
export function successFault({ direction, length, received, sent, atMost }: Command): Fault | undefined {
  if (direction === Direction.Read) {
    if (received === length || atMost) return undefined
    return fault(Fes.Sequence, CID, `success of a read of ${length} bytes, of which ${received} came`)
  }
  if (direction !== Direction.Write || sent === length) return undefined
  return fault(Fes.Sequence, CID, `success of a write of ${length} bytes, of which ${sent} were asked for`)
}
