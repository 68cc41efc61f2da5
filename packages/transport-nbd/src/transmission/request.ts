import type { IoDone } from '@blockbraid/core'
import { Io, NO_BUFFERS } from '@blockbraid/core'
import type { InputSlab, Wire } from '@blockbraid/wire'
import { letGo } from '@blockbraid/wire'

const EMPTY = new Uint8Array(0)

/** What a request comes back to when its Io is done. */
export interface RequestOwner {
  ioDone(request: Request, status: number): void
}

const done: IoDone = (io, status) => {
  const request = io.owner as Request
  request.session!.ioDone(request, status)
}

/** One request of a client, with the Io that does its work. Made to be reused. */
export class Request {
  readonly io = new Io()
  session: RequestOwner | null = null
  command = 0
  flags = 0
  /** An NBD error that was found in the header, answered once the payload is skipped; or 0. */
  refused = 0
  /** Bytes that this request counts against its connection's limit. */
  held = 0
  // 64-bit fields are kept in halves: both are sent back as they came. Doubles: unsigned 32-bit values do not fit V8's
  // small integers.
  cookieHigh = 0.5
  cookieLow = 0.5
  offsetHigh = 0.5
  offsetLow = 0.5
  /** Views of the payload; the first `viewCount` are in use until `sealViews`. */
  readonly views: Uint8Array[] = [EMPTY]
  viewCount = 0
  /** Slabs that hold the payload; none where its memory is its own. */
  readonly #slabs: InputSlab[] = []

  constructor() {
    this.io.owner = this
    this.io.done = done
  }

  /** Adds a view of memory of its own. */
  addView(view: Uint8Array): void {
    if (this.viewCount < this.views.length) this.views[this.viewCount] = view
    else this.views.push(view)
    this.viewCount++
  }

  /** Adds a view of the bytes at hand of a wire; one that continues the view before becomes part of it. */
  addReceived(view: Uint8Array, wire: Wire): void {
    const slabs = this.#slabs
    const last = this.viewCount > 0 ? this.views[this.viewCount - 1]! : EMPTY
    if (slabs.length > 0 && last.buffer === view.buffer && last.byteOffset + last.length === view.byteOffset) {
      // Its slab is held already, but only a hold keeps the bytes at hand.
      letGo(wire.hold())
      this.views[this.viewCount - 1] = new Uint8Array(view.buffer, last.byteOffset, last.length + view.length)
      return
    }
    slabs.push(wire.hold())
    this.addView(view)
  }

  /** Leaves exactly the payload in `views`. */
  sealViews(): void {
    // An array that keeps its length of 1 keeps its storage: the usual write allocates no array.
    if (this.viewCount !== this.views.length) this.views.length = this.viewCount
  }

  /** Drops every reference to payload and session. */
  clear(): void {
    this.session = null
    this.refused = 0
    this.held = 0
    this.viewCount = 0
    this.io.buffers = NO_BUFFERS
    this.io.source = null
    for (let slab = this.#slabs.pop(); slab !== undefined; slab = this.#slabs.pop()) letGo(slab)
    this.views[0] = EMPTY
    if (this.views.length !== 1) this.views.length = 1
  }
}

/** Requests of one server that are free to use; more than `keep` are left to the garbage collector. */
export class RequestPool {
  /** Requests that are taken and not given back. */
  outstanding = 0
  readonly #free: Request[] = []
  readonly #keep: number

  constructor(keep: number) {
    this.#keep = keep
  }

  take(): Request {
    this.outstanding++
    return this.#free.pop() ?? new Request()
  }

  give(request: Request): void {
    this.outstanding--
    request.clear()
    if (this.#free.length < this.#keep) this.#free.push(request)
  }
}
