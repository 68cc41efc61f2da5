import type { Clock, Timer } from '@blockbraid/core'
import type { Wire } from '@blockbraid/wire'
import type { ReplyStyle } from '../protocol.ts'
import { Backlog } from './backlog.ts'
import type { RequestParser } from './request-parser.ts'

/** What an {@link Intake} asks of its session. */
export interface IntakeOwner {
  /** Nothing that comes is looked at any more. */
  readonly over: boolean
  /** Whether no further request may begin. */
  stalled(): boolean
  /** Whether `bytes` more may wait here. */
  mayWait(bytes: number): boolean
  /** Other bytes wait here than before. */
  waits(): void
  /** All that the client sent before its end was looked at. */
  drained(): void
}

// A client that has gone shows only behind all that it sent: ms between looks at a wire that is not read otherwise, bytes
// after which a look ends, and bytes that may wait for room because of them.
const LOOK = 100
const PER_LOOK = 65536
const MAX_BACKLOG = 4 * 2 ** 20

/** What a client sends on its way into a parser: where the session stalls, it waits, and the wire is hardly read. */
export class Intake {
  readonly #wire: Wire
  readonly #parser: RequestParser
  readonly #clock: Clock
  readonly #owner: IntakeOwner
  readonly #backlog = new Backlog()
  #paused = false
  /** Bytes that this look may still bring. */
  #look = 0
  /** The client sends no more, and what it sent before is still in the backlog. */
  #ended = false
  #nextLook: Timer | undefined

  constructor(wire: Wire, parser: RequestParser, clock: Clock, owner: IntakeOwner) {
    this.#wire = wire
    this.#parser = parser
    this.#clock = clock
    this.#owner = owner
  }

  /** Whether the session was stalled when last looked at. */
  get paused(): boolean {
    return this.#paused
  }

  /** Bytes that wait. */
  get waiting(): number {
    return this.#backlog.bytes
  }

  bytes(chunk: Buffer, start: number, end: number): void {
    let at = start
    if (this.#backlog.isEmpty) {
      at = this.#parser.parse(chunk, start, end)
      if (this.#owner.over || (at === end && !this.#parser.waiting)) return
    }
    this.#backlog.push(chunk, at, end)
    this.#owner.waits()
    this.#look -= end - start
    if (this.#paused && this.#look > 0) return
    this.#paused = true
    this.#wire.pause()
    this.#nextLook ??= this.#clock.after(LOOK, this.#onLook)
  }

  /** The client sends no more. Whether it said goodbye in what waits. */
  saysGoodbye(style: ReplyStyle): boolean {
    return this.#backlog.saysGoodbye(this.#parser, style)
  }

  /** `drained` is called once nothing waits. */
  finished(): void {
    if (!this.#backlog.isEmpty) this.#ended = true
    else this.#owner.drained()
  }

  /** Goes on with what waits, as far as it gets. */
  resume(): void {
    const owner = this.#owner
    if (!this.#paused || owner.over) return
    while (!this.#backlog.isEmpty) {
      const used = this.#backlog.feed(this.#parser)
      if (owner.over || !used) return
    }
    if (this.#ended) {
      owner.drained()
      return
    }
    if (owner.stalled()) return
    this.#paused = false
    this.#wire.resume()
  }

  /** Drops what waits, and looks at nothing any more. */
  stop(): void {
    this.#parser.stop()
    this.#backlog.clear()
    this.#nextLook?.cancel()
    this.#nextLook = undefined
  }

  // What comes in then waits, or it is the end behind it.
  readonly #onLook = (): void => {
    this.#nextLook = undefined
    if (!this.#paused || this.#ended || this.#owner.over) return
    if (this.#backlog.bytes + PER_LOOK <= MAX_BACKLOG && this.#owner.mayWait(PER_LOOK)) {
      this.#look = PER_LOOK
      this.#wire.resume()
    }
    this.#nextLook = this.#clock.after(LOOK, this.#onLook)
  }
}
