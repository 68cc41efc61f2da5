import { put16le, put32le, put64le } from '@blockbraid/wire'
import type { Status } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'

/** Entries that are kept. */
export const ERROR_ENTRIES = 64
const ENTRY = 64
const TCP = 3
const NO_LOCATION = 0xffff

/** Commands that ended with an error, the newest first (NVMe Base 2.1 §5.1.12.1.2). */
export class ErrorLog {
  #count = 0
  #entries: Buffer[] = []

  /** Errors that there ever were. */
  get count(): number {
    return this.#count
  }

  record(queue: number, { cid, nsid, opcode, io, attachment }: Request, status: Status): void {
    const entry = Buffer.alloc(ENTRY)
    put64le(entry, 0, ++this.#count)
    put16le(entry, 8, queue)
    put16le(entry, 10, cid)
    put16le(entry, 12, status << 1)
    put16le(entry, 14, NO_LOCATION)
    if (attachment !== null) put64le(entry, 16, Math.floor(io.offset / attachment.device.limits.blockSize) % 2 ** 53)
    put32le(entry, 24, nsid)
    entry[29] = TCP
    entry[31] = opcode
    this.#entries = [entry, ...this.#entries.slice(0, ERROR_ENTRIES - 1)]
  }

  page(): Buffer {
    return Buffer.concat(this.#entries, ENTRY * ERROR_ENTRIES)
  }
}
