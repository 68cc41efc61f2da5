import type { ReplyStyle } from '../protocol.ts'
import { hasPayload } from './commands.ts'
import { saysGoodbye } from './goodbye.ts'
import type { RequestParser } from './request-parser.ts'

// Crumbs must not cost a buffer each.
const MAX_SPARE = 65536

interface Part {
  readonly memory: Buffer
  used: number
}

/** Copies of what a parser has not looked at yet: where it came from, it is read into again. */
export class Backlog {
  /** Bytes of memory that it takes. */
  bytes = 0
  #parts: Part[] = []
  /** Where the rest of the first begins. */
  #start = 0

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  /** Adds bytes of `chunk`. */
  push(chunk: Buffer, start: number, end: number): void {
    const size = end - start
    let part = this.#parts.at(-1)
    if (part === undefined || part.memory.length - part.used < size) {
      part = { memory: Buffer.allocUnsafeSlow(Math.max(size, Math.min(MAX_SPARE, this.bytes))), used: 0 }
      this.#parts.push(part)
      this.bytes += part.memory.length
    }
    chunk.copy(part.memory, part.used, start, end)
    part.used += size
  }

  clear(): void {
    this.#parts = []
    this.#start = 0
    this.bytes = 0
  }

  /** Feeds the first part to the parser and drops it if all of it was used; else returns false. */
  feed(parser: RequestParser): boolean {
    const part = this.#parts[0]!
    const end = parser.parse(part.memory, this.#start, part.used)
    // What the parser found may have cleared it.
    if (this.#parts[0] !== part) return true
    this.#start = end
    if (end < part.used || parser.waiting) return false
    this.#parts.shift()
    this.#start = 0
    this.bytes -= part.memory.length
    return true
  }

  /** Whether the client says goodbye in what the parser has not looked at. */
  saysGoodbye({ waiting, command, flags, length }: RequestParser, style: ReplyStyle): boolean {
    const payload = waiting && hasPayload(command, flags) ? length : 0
    const chunks = this.#parts.map(({ memory, used }) => memory.subarray(0, used))
    return saysGoodbye(chunks, this.#start + payload, style)
  }
}
