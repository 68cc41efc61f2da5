import type { ReplyStyle } from '../protocol.ts'
import { hasPayload } from './commands.ts'
import { saysGoodbye } from './goodbye.ts'
import type { RequestParser } from './request-parser.ts'

/** Chunks, or the rest of one, that a parser has not looked at yet. */
export class Backlog {
  /** Bytes of its chunks. */
  bytes = 0
  #chunks: Buffer[] = []
  /** Where the rest of the first begins. */
  #start = 0

  /** How many chunks there are. */
  get length(): number {
    return this.#chunks.length
  }

  /** Adds a chunk; of the first, what is before `start` is done with. */
  push(chunk: Buffer, start = 0): void {
    if (this.#chunks.length === 0) this.#start = start
    this.#chunks.push(chunk)
    this.bytes += chunk.length
  }

  clear(): void {
    this.#chunks = []
    this.#start = 0
    this.bytes = 0
  }

  /** Feeds the first chunk to the parser and drops it if all of it was used; else returns false. */
  feed(parser: RequestParser): boolean {
    const chunk = this.#chunks[0]!
    const end = parser.parse(chunk, this.#start)
    // What the parser found may have cleared it.
    if (this.#chunks[0] !== chunk) return true
    this.#start = end
    if (end < chunk.length || parser.waiting) return false
    this.#chunks.shift()
    this.#start = 0
    this.bytes -= chunk.length
    return true
  }

  /** Whether the client says goodbye in what the parser has not looked at. */
  saysGoodbye({ waiting, command, flags, length }: RequestParser, style: ReplyStyle): boolean {
    const payload = waiting && hasPayload(command, flags) ? length : 0
    return saysGoodbye(this.#chunks, this.#start + payload, style)
  }
}
