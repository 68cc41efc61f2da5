import type { Clock } from '@blockbraid/core'
import type { PipeEnd } from './fake-pipe.ts'
import { FakePipe } from './fake-pipe.ts'
import type { InputSlab } from './input.ts'
import { InputPool, letGo } from './input.ts'
import { Outbox } from './outbox.ts'
import { OutboxPool } from './outbox-pool.ts'
import type { Wire, WireSink } from './wire.ts'

/** How a {@link FakeWire} behaves. */
export interface FakeWireOptions {
  /** Bytes that may be on their way and not read, in each direction; the rest waits in the outbox's socket. @defaultValue no limit */
  readonly window?: number
  /** Where given, what arrives comes in pieces that are cut by it: numbers from 0 up to, and not including, 1. */
  readonly random?: () => number
}

/** Options of {@link createFakeWires}. */
export interface FakeWiresOptions extends FakeWireOptions {
  /** Milliseconds from one end to the other. @defaultValue 0.05 */
  readonly latency?: number
}

// One for all: a slab for each would cost more than what most tests send.
const outputs = new OutboxPool(4)

// What nobody keeps is overwritten, so that a sink that keeps it all the same reads nonsense.
const OVERWRITTEN = 0xdb
// Bytes of a sink begin in the midst of a chunk, as those of a slab do.
const BEFORE = 8

/** Overwrites what is let go of. */
class FakePool extends InputPool {
  override give(slab: InputSlab): void {
    super.give(slab)
    slab.bytes.fill(OVERWRITTEN)
  }
}

/**
 * A wire without a socket, in the time of its clock. Alone, its other end is the test: `receive`, `finish` and `fail` do
 * at once what the other end does, and `take` has what was sent. {@link createFakeWires} makes two that are joined.
 */
export class FakeWire implements Wire {
  readonly outbox: Outbox
  sink: WireSink | null = null
  /** How it was ended from this side. */
  ended: 'end' | 'destroy' | 'reset' | undefined
  /** Told when it is over, by whichever end. */
  onOver: (() => void) | undefined
  readonly #clock: Clock
  readonly #out: FakePipe
  readonly #random: (() => number) | undefined
  readonly #pool = new FakePool(0)
  /** The other end, where that is a wire too. */
  #peer: FakeWire | undefined
  #read: ((count: number) => void) | undefined
  readonly #sent: Buffer[] = []
  readonly #inbound: Buffer[] = []
  #finished = false
  #closed = false
  #paused = false
  #delivering = false
  #slab: InputSlab | undefined

  constructor(clock: Clock, options: FakeWireOptions = {}, latency?: number) {
    this.#clock = clock
    this.#random = options.random
    this.#out = new FakePipe(clock, this.#otherEnd, latency, options.window ?? Number.POSITIVE_INFINITY)
    this.outbox = new Outbox(this.#out, outputs, clock)
  }

  /** Joins two, each the other end of the other. */
  static join(one: FakeWire, other: FakeWire): void {
    one.#peer = other
    other.#peer = one
    one.#read = (count) => other.#out.read(count)
    other.#read = (count) => one.#out.read(count)
  }

  /** Whether nothing comes or goes any more: it was ended from either side. */
  get closed(): boolean {
    return this.#closed
  }

  /** Slabs that were held and not let go of. */
  get held(): number {
    return this.#pool.outstanding
  }

  /** Bytes that may be on the way to the other end and not read. */
  set window(bytes: number) {
    this.#out.window = bytes
  }

  /** Milliseconds to the other end, of what is sent from now on. */
  set latency(milliseconds: number) {
    this.#out.latency = milliseconds
  }

  /** What this end has sent and has not arrived never does, the end of the wire neither: it has to be over. */
  lose(): void {
    this.#out.lose()
  }

  /** Nothing that this end sends arrives while it is true, and nobody is told; it arrives afterwards. */
  set dark(dark: boolean) {
    this.#out.dark = dark
  }

  retain(): void {
    if (this.#slab !== undefined) this.#pool.leave(this.#slab)
  }

  hold(): InputSlab {
    const slab = this.#slab
    if (slab === undefined) throw new Error('hold: only bytes at hand can be held')
    slab.users++
    return slab
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#clock.defer(this.#deliver)
  }

  end(): void {
    this.outbox.flush()
    this.ended ??= 'end'
    this.#out.end()
  }

  destroy(): void {
    this.ended = 'destroy'
    this.sink = null
    // As a socket does: who closes it unread has lost something.
    this.#close(this.#inbound.length > 0)
  }

  reset(): void {
    this.ended = 'reset'
    this.sink = null
    this.#close(true)
  }

  /** Alone: what was sent since the last call; there is room for as much again. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#sent.splice(0))
    this.#out.read(bytes.length)
    return bytes
  }

  /** Alone: the other end sends this. */
  receive(...bytes: readonly Uint8Array[]): void {
    this.#arrived(Buffer.concat(bytes))
  }

  /** The other end sends no more. */
  finish(): void {
    this.#finished = true
    this.#deliver()
  }

  /** It ends by an error as the system gives it: ECONNRESET, ETIMEDOUT and so on. */
  fail(code: string): void {
    if (this.#closed) return
    this.#out.close(true)
    this.#over(Object.assign(new Error(`fake wire: ${code}`), { code }))
  }

  readonly #otherEnd: PipeEnd = {
    arrived: (bytes) => {
      if (this.#peer === undefined) this.#sent.push(bytes)
      else this.#peer.#arrived(bytes)
    },
    finished: () => this.#peer?.finish(),
    reset: () => this.#peer?.fail('ECONNRESET'),
    left: () => this.#over(undefined),
  }

  #arrived(bytes: Buffer): void {
    if (this.#closed) return this.#out.refuse()
    this.#inbound.push(bytes)
    this.#deliver()
  }

  readonly #deliver = (): void => {
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (!this.#paused && !this.#closed && this.#inbound.length > 0) this.#deliverOne()
    } finally {
      this.#delivering = false
    }
    if (!this.#finished || this.#paused || this.#inbound.length > 0) return
    this.#finished = false
    if (!this.#closed) this.sink?.finished()
  }

  #deliverOne(): void {
    const arrived = this.#inbound[0]!
    const count = this.#random === undefined ? arrived.length : 1 + Math.floor(this.#random() * arrived.length)
    if (count === arrived.length) this.#inbound.shift()
    else this.#inbound[0] = arrived.subarray(count)
    const chunk = Buffer.alloc(BEFORE + count, OVERWRITTEN)
    arrived.copy(chunk, BEFORE, 0, count)
    const slab = { bytes: chunk, pool: this.#pool, users: 1 }
    this.#pool.outstanding++
    this.#slab = slab
    try {
      this.sink?.bytes(chunk, BEFORE, BEFORE + count)
    } finally {
      this.#slab = undefined
      letGo(slab)
      this.#read?.(count)
    }
  }

  #close(hard: boolean): void {
    this.#out.close(hard)
    this.#over(undefined)
  }

  #over(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#inbound.length = 0
    this.outbox.drop()
    const { sink } = this
    this.sink = null
    sink?.closed(error)
    this.onOver?.()
  }
}

/** Two wires, each the other end of the other. The same clock, options and randomness give the same course. */
export function createFakeWires(clock: Clock, options: FakeWiresOptions = {}): [FakeWire, FakeWire] {
  const latency = options.latency ?? 0.05
  const ends: [FakeWire, FakeWire] = [new FakeWire(clock, options, latency), new FakeWire(clock, options, latency)]
  FakeWire.join(...ends)
  return ends
}
