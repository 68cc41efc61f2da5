import type { Clock } from '@blockbraid/core'
import type { OutboxPool, OutboxSlab } from './outbox-pool.ts'
import { headOf, NOTHING } from './outbox-pool.ts'
import { atTurnEnd } from './turn.ts'

/** What an {@link Outbox} needs of a socket. */
export interface OutboxSocket {
  /** What is written from now on waits. */
  cork(): void
  /** It goes, by one write. */
  uncork(): void
  /** Takes bytes that stay as they are until `left` is called, or `writableLength` no longer counts them. */
  write(bytes: Uint8Array, left?: () => void): boolean
  /** Bytes that it holds because the other end does not take them. */
  readonly writableLength: number
  /** Whether it is over. */
  readonly destroyed: boolean
}

// From here on a socket seldom takes all of it at once: that it has is asked for along with it.
const LARGE = 64 * 1024

/**
 * What goes out over a wire: what its owner writes goes into a slab one after the other, payload is passed as views
 * between, and all of one turn is one write.
 */
export class Outbox {
  /** Where `reserve` made room: to be asked for after it, as it may be another slab than before. */
  bytes: Buffer = NOTHING
  /** Called when bytes have left that the socket had held back; perhaps more often. */
  onLeft: (() => void) | null = null
  readonly #socket: OutboxSocket
  readonly #pool: OutboxPool
  readonly #clock: Clock
  #slab: OutboxSlab | null = null
  /** Start and end of the run in the slab that is in no piece yet. */
  #start = 0
  #end = 0
  // The first `#count` go before the run; the array is never cut, which would give its memory back.
  readonly #pieces: Uint8Array[] = []
  #count = 0
  #pieceBytes = 0
  /** Bytes that the socket was given. */
  #given = 0.5
  /** Slabs that are full, oldest first; some of their bytes have not left. */
  #full: OutboxSlab[] = []
  #scheduled = false
  /** Whether the socket held bytes back after the last write. */
  #blocked = false

  constructor(socket: OutboxSocket, pool: OutboxPool, clock: Clock) {
    this.#socket = socket
    this.#pool = pool
    this.#clock = clock
    // Declared as a double: it passes 2 ** 31.
    this.#given = 0
  }

  /** Bytes ever put here. */
  get position(): number {
    return this.#given + this.#pieceBytes + this.#end - this.#start
  }

  /** Bytes ever put here that no buffer of this process holds any more. */
  get left(): number {
    return this.#given - this.#socket.writableLength
  }

  /** Makes room for `size` bytes, at most a slab, in `bytes`, and returns where they begin. The caller fills all, now. */
  reserve(size: number): number {
    if (this.#slab === null || this.#end + size > this.bytes.length) this.#nextSlab()
    const at = this.#end
    this.#end = at + size
    if (!this.#scheduled) this.#schedule()
    return at
  }

  /** Appends a view, which must not change until it has left. */
  attach(view: Uint8Array): void {
    this.#closeRun()
    this.#push(view)
    if (!this.#scheduled) this.#schedule()
  }

  /** Hands everything to the socket, in one write; at the end of the turn it happens by itself. */
  flush(): void {
    const run = this.#end - this.#start
    if (run === 0 && this.#count === 0) return
    const socket = this.#socket
    if (socket.destroyed) return this.drop()
    const bytes = this.#pieceBytes + run
    const asks = this.#blocked || bytes >= LARGE
    this.#given += bytes
    if (this.#count === 0) {
      const view = this.#run()
      if (asks) socket.write(view, this.#onWritten)
      else socket.write(view)
    } else this.#writePieces(asks)
    this.#blocked = socket.writableLength > 0
    if (!this.#blocked) this.#release()
    else if (!asks) socket.write(NOTHING, this.#onWritten)
  }

  /** Forgets what the socket was not given. */
  drop(): void {
    this.#count = 0
    this.#pieceBytes = 0
    this.#start = this.#end
    this.#retire()
    const full = this.#full
    const last = full.findIndex(({ upTo }) => upTo >= this.#given)
    if (last !== -1) {
      // Of those behind it the socket has nothing.
      full[last]!.upTo = this.#given
      for (const slab of full.splice(last + 1)) this.#pool.give(slab)
    }
    this.#release()
  }

  #schedule(): void {
    this.#scheduled = true
    atTurnEnd(this.#clock, this.#onTurnEnd)
  }

  readonly #onTurnEnd = (): void => {
    this.#scheduled = false
    this.flush()
  }

  readonly #onWritten = (): void => {
    if (this.#socket.writableLength === 0) this.#blocked = false
    this.#release()
    this.onLeft?.()
  }

  #push(piece: Uint8Array): void {
    this.#pieces[this.#count++] = piece
    this.#pieceBytes += piece.length
  }

  #closeRun(): void {
    if (this.#end > this.#start) this.#push(this.#run())
  }

  /** What stands in the slab since the last piece. */
  #run(): Buffer {
    const start = this.#start
    this.#start = this.#end
    return start === 0 ? headOf(this.#slab!, this.#end) : this.bytes.subarray(start, this.#end)
  }

  #writePieces(asks: boolean): void {
    this.#closeRun()
    const socket = this.#socket
    const pieces = this.#pieces
    const last = this.#count - 1
    this.#count = 0
    this.#pieceBytes = 0
    if (last > 0) socket.cork()
    for (let at = 0; at <= last; at++) {
      const piece = pieces[at]!
      pieces[at] = NOTHING
      if (asks && at === last) socket.write(piece, this.#onWritten)
      else socket.write(piece)
    }
    if (last > 0) socket.uncork()
  }

  #nextSlab(): void {
    this.#closeRun()
    this.#retire()
    const slab = this.#pool.take()
    this.#slab = slab
    this.bytes = slab.bytes
  }

  /** Nothing more is written into the slab. */
  #retire(): void {
    const slab = this.#slab
    if (slab === null) return
    this.#slab = null
    this.bytes = NOTHING
    this.#start = 0
    this.#end = 0
    slab.upTo = this.position
    this.#full.push(slab)
  }

  /** Gives back the slabs all of whose bytes have left: a wire at rest has none. */
  #release(): void {
    const { left } = this
    while (this.#full.length > 0 && this.#full[0]!.upTo <= left) this.#pool.give(this.#full.shift()!)
    const slab = this.#slab
    if (slab === null || this.position > left) return
    this.#slab = null
    this.bytes = NOTHING
    this.#start = 0
    this.#end = 0
    this.#pool.give(slab)
  }
}
