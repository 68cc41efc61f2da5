import type { Socket } from 'node:net'
import { Command, CommandFlag, Magic, putUint32, putUint64 } from './protocol.ts'
import type { NbdRequest } from './request.ts'

const SLAB = 64 * 1024
const PLAIN_SIZE = 28
const EXTENDED_SIZE = 32

/** Puts requests on a socket: those of one turn go out together, headers that follow each other as one view. */
export class RequestWriter {
  readonly #socket: Socket
  readonly #extended: boolean
  #slab = Buffer.allocUnsafe(SLAB)
  /** First byte of the slab that is not in `#out`. */
  #start = 0
  #end = 0
  #out: Uint8Array[] = []
  #scheduled = false

  constructor(socket: Socket, extended: boolean) {
    this.#socket = socket
    this.#extended = extended
  }

  /** Queues a request and the payload of a write. */
  send(request: NbdRequest, flags: number, payload?: readonly Uint8Array[]): void {
    const size = this.#extended ? EXTENDED_SIZE : PLAIN_SIZE
    if (this.#end + size > SLAB) this.#newSlab()
    const slab = this.#slab
    const at = this.#end
    const withLength = this.#extended && request.command === Command.write ? CommandFlag.payloadLength : 0
    putUint32(slab, at, this.#extended ? Magic.extendedRequest : Magic.request)
    putUint32(slab, at + 4, ((flags | withLength) << 16) | request.command)
    putUint32(slab, at + 8, request.generation)
    putUint32(slab, at + 12, request.slot)
    putUint64(slab, at + 16, request.offset)
    if (this.#extended) putUint64(slab, at + 24, request.length)
    else putUint32(slab, at + 24, request.length)
    this.#end = at + size
    if (payload !== undefined) {
      this.#closeRegion()
      for (const view of payload) this.#out.push(view)
    }
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(this.#flush)
  }

  #newSlab(): void {
    this.#closeRegion()
    this.#slab = Buffer.allocUnsafe(SLAB)
    this.#start = 0
    this.#end = 0
  }

  #closeRegion(): void {
    if (this.#start === this.#end) return
    this.#out.push(this.#slab.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    this.#closeRegion()
    const out = this.#out
    this.#out = []
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (out.length === 1) {
      socket.write(out[0]!)
      return
    }
    socket.cork()
    for (const view of out) socket.write(view)
    socket.uncork()
  }
}
