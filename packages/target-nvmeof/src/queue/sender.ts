import { put16le, put32le } from '@blockbraid/wire'
import { FABRICS } from '../nvme/opcode.ts'
import { SQE_LENGTH } from '../nvme/procedure.ts'
import { putData } from '../pdu/encode.ts'
import { HeaderLength, PduFlag, PduType } from '../pdu/opcode.ts'
import type { PduWriter } from '../pdu/writer.ts'
import type { Command } from './command.ts'
import { CommandState, Direction } from './command.ts'

// PSDT 01b: the data pointer is an SGL.
const SGL = 0x40
const FUSE = 0x03
// SGL descriptors (NVMe Base 2.1 §4.3.2): data block with an offset in the capsule; transport data block.
const IN_CAPSULE = 0x01
const BY_TRANSPORT = 0x5a
// Every controller takes so much with a command of fabrics (NVMe/TCP Transport 1.1 §3.3).
const FABRICS_IN_CAPSULE = 8192

/** Puts commands and their data into the outbox of a queue. */
export class Sender {
  /** Bytes of data in one H2CData. */
  maxH2cData = 0
  readonly #writer: PduWriter
  readonly #inCapsule: number

  /** `inCapsule`: bytes of data that may go with a command. */
  constructor(writer: PduWriter, inCapsule: number) {
    this.#writer = writer
    this.#inCapsule = inCapsule
  }

  /** Sends a command that has its CID, and its data where that may go with it. */
  command(command: Command): void {
    const { sqe, direction, length } = command
    const writer = this.#writer
    const most = sqe[0] === FABRICS ? FABRICS_IN_CAPSULE : this.#inCapsule
    const inside = direction === Direction.Write && length <= most ? length : 0
    sqe[1] = ((sqe[1] as number) & FUSE) | SGL
    put16le(sqe, 2, command.cid)
    put32le(sqe, 24, 0)
    put32le(sqe, 28, 0)
    put32le(sqe, 32, direction === Direction.None ? 0 : length)
    put32le(sqe, 36, (inside > 0 ? IN_CAPSULE : BY_TRANSPORT) * 0x100_0000)
    const at = writer.begin(PduType.CapsuleCmd, 0, HeaderLength.Command, inside)
    sqe.copy(writer.bytes, at + 8, 0, SQE_LENGTH)
    if (inside > 0) writer.endWith(at, command.buffers, 0, inside)
    else writer.end(at)
    command.state = CommandState.Sent
    command.sent = inside
    command.sentUpTo = writer.outbox.position
  }

  /** Sends bytes `from` to `to` of a write, as an R2T has asked for (NVMe/TCP Transport 1.1 §3.6.2.8). */
  data(command: Command, transferTag: number, from: number, to: number): void {
    const writer = this.#writer
    while (from < to) {
      const count = Math.min(to - from, this.maxH2cData)
      const flags = from + count === to ? PduFlag.Last : 0
      const at = writer.begin(PduType.H2cData, flags, HeaderLength.Data, count)
      putData(writer.bytes, at, command.cid, transferTag, from, count)
      writer.endWith(at, command.buffers, from, count)
      from += count
    }
    command.sent = to
    command.sentUpTo = writer.outbox.position
  }
}
