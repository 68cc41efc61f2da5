import { fillViews, get16le, get32le } from '@blockbraid/wire'
import type { Agreed } from '../pdu/agreed.ts'
import { agree } from '../pdu/agreed.ts'
import type { ConnectionRequest } from '../pdu/encode.ts'
import type { Fault } from '../pdu/fault.ts'
import { Fes, fault, termReqWords } from '../pdu/fault.ts'
import { HeaderLength, PduFlag } from '../pdu/opcode.ts'
import type { PduSink } from '../pdu/parser.ts'
import { PduParser } from '../pdu/parser.ts'
import type { Command } from './command.ts'
import { CommandState } from './command.ts'
import type { CommandTable } from './command-table.ts'
import { dataFault, readyFault, successFault } from './faults.ts'

/** Who hears what a {@link Receiver} finds. */
export interface ReceiverHost {
  /** Bytes that have left this process, as the outbox counts. */
  readonly left: number
  /** The connection is agreed on. */
  accept(agreed: Agreed): void
  /** An R2T for `length` bytes at `offset` has come, and is right. */
  ready(command: Command, transferTag: number, offset: number, length: number): void
  /** A command was answered: its status and results are set. */
  answer(command: Command): void
  /** Whether it was answered, and has not ended since. */
  isAnswered(command: Command): boolean
  /** The controller has ended the connection. */
  over(words: string): void
  /** The controller broke the protocol; `header` is what of the PDU in error is at hand. */
  refuse(wrong: Fault, header: Buffer): void
}

const NO_HEADER = Buffer.alloc(0)

/** Judges what a controller sends, and gives it to the commands that it is for. */
export class Receiver implements PduSink {
  readonly #host: ReceiverHost
  readonly #table: CommandTable
  readonly #connection: ConnectionRequest
  readonly #parser: PduParser
  // Of the C2HData that is being received.
  #current: Command | null = null
  #ends = false
  #kept = false

  constructor(host: ReceiverHost, table: CommandTable, connection: ConnectionRequest) {
    this.#host = host
    this.#table = table
    this.#connection = connection
    this.#parser = new PduParser(this, connection.align)
  }

  /** Bytes of `chunk` from `start` to `end` have come. Returns whether they must stay, as views of them were kept. */
  push(chunk: Buffer, start: number, end: number): boolean {
    this.#kept = false
    this.#parser.push(chunk, start, end)
    return this.#kept
  }

  /** A command may get so many bytes. */
  expect(length: number): void {
    if (length > this.#parser.maxData) this.#parser.maxData = length
  }

  /** Nothing more is taken, also not of the bytes at hand. */
  stop(): void {
    this.#parser.stop()
    this.#current = null
  }

  icResp(bytes: Buffer, at: number): void {
    const agreed = agree(bytes, at, this.#connection)
    if ('fes' in agreed) return this.#refuse(agreed, bytes, at, HeaderLength.Connection)
    this.#parser.use(agreed)
    this.#host.accept(agreed)
  }

  dataHeader(bytes: Buffer, at: number, length: number): void {
    const cid = get16le(bytes, at + 8)
    const command = this.#table.find(cid)
    const wrong = dataFault(command, cid, get32le(bytes, at + 12), length)
    if (command === undefined || wrong !== undefined) return this.#refuse(wrong as Fault, bytes, at)
    const flags = bytes[at + 1] as number
    this.#ends = (flags & PduFlag.Success) !== 0
    if (this.#ends && (flags & PduFlag.Last) === 0) {
      return this.#refuse(fault(Fes.InvalidField, 1, 'C2HData with SUCCESS and without LAST_PDU'), bytes, at)
    }
    this.#current = command
  }

  data(bytes: Buffer, start: number, end: number): void {
    const command = this.#current
    if (command === null) return
    if (command.state !== CommandState.Sent) command.received += end - start
    else if (fillViews(command, bytes, start, end)) this.#kept = true
  }

  dataEnd(right: boolean): void {
    const command = this.#current
    if (command === null) return
    this.#current = null
    if (!right) command.damaged = true
    if (!this.#ends) return
    // The last data stands for a completion.
    const wrong = successFault(command)
    if (wrong === undefined) this.#host.answer(command)
    else this.#host.refuse(wrong, NO_HEADER)
  }

  response(bytes: Buffer, at: number): void {
    const cid = get16le(bytes, at + 20)
    const command = this.#table.find(cid)
    if (command === undefined) {
      return this.#refuse(fault(Fes.InvalidField, 20, `a completion for CID ${cid}, which no command has`), bytes, at)
    }
    if (this.#host.isAnswered(command)) {
      return this.#refuse(fault(Fes.InvalidField, 20, `a second completion for CID ${cid}`), bytes, at)
    }
    // Without the phase tag, which is none over fabrics.
    const status = get16le(bytes, at + 22) >>> 1
    if (status === 0) {
      const wrong = successFault(command)
      if (wrong !== undefined) return this.#refuse(wrong, bytes, at)
    }
    command.status = status
    command.result = get32le(bytes, at + 8)
    command.resultHigh = get32le(bytes, at + 12)
    this.#host.answer(command)
  }

  readyToTransfer(bytes: Buffer, at: number): void {
    const cid = get16le(bytes, at + 8)
    const offset = get32le(bytes, at + 12)
    const length = get32le(bytes, at + 16)
    const command = this.#table.find(cid)
    const wrong = readyFault(command, cid, offset, length, this.#host.left)
    if (command === undefined || wrong !== undefined) return this.#refuse(wrong as Fault, bytes, at)
    if (this.#host.isAnswered(command)) {
      return this.#refuse(fault(Fes.Sequence, 8, `R2T for CID ${cid}, which was completed`), bytes, at)
    }
    this.#host.ready(command, get16le(bytes, at + 10), offset, length)
  }

  termReq(fes: number, fei: number): void {
    this.#host.over(termReqWords(fes, fei))
  }

  broken(wrong: Fault, header: Buffer): void {
    this.#host.refuse(wrong, header)
  }

  #refuse(wrong: Fault, bytes: Buffer, at: number, length: number = HeaderLength.Data): void {
    this.#host.refuse(wrong, bytes.subarray(at, at + length))
  }
}
