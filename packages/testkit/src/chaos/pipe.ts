import type { Socket } from 'node:net'
import type { Clock, Timer } from '@blockbraid/core'
import type { ChaosDirection } from './types.ts'

/** What is kept of a connection before its source is no longer read. */
const MOST_HELD = 256 * 1024 * 1024
/** What a limited pipe passes on at once. */
const SLICE = 16 * 1024

/** How bytes of one direction are treated, in every connection. */
export interface Weather {
  held: boolean
  /** Milliseconds. */
  delay: number
  /** Bytes a second; 0: no limit. */
  limit: number
  dark: boolean
}

/** Something that happens at a byte of the stream. */
export interface Mark {
  /** Bytes still to come before it. */
  left: number
  /** Whether it happens as soon as those have come; else the byte itself must have come, too. */
  readonly behind: boolean
  /** Whether it has happened already, in another connection. */
  readonly done: () => boolean
  /** Happens: the byte is at `at`. Says whether the connection goes on. */
  readonly act: (chunk: Buffer, at: number) => boolean
}

interface Parcel {
  /** Null stands for the end of the stream. */
  bytes: Buffer | null
  /** Clock time, µs. */
  due: number
}

/** One direction of a connection: bytes from one socket to the other. */
export class Pipe {
  readonly direction: ChaosDirection
  received = 0
  held = 0
  /** Bytes were thrown away: what follows makes no sense. */
  torn = false
  /** The source has ended, or is gone. */
  ended = false
  readonly #source: Socket
  readonly #sink: Socket
  readonly #weather: Weather
  readonly #clock: Clock
  readonly #onDelivered: () => void
  #marks: Mark[] = []
  #queue: Parcel[] = []
  #free = 0
  #timer: Timer | undefined
  #blocked = false

  constructor(
    direction: ChaosDirection,
    source: Socket,
    sink: Socket,
    weather: Weather,
    clock: Clock,
    onDelivered: () => void,
  ) {
    this.direction = direction
    this.#source = source
    this.#sink = sink
    this.#weather = weather
    this.#clock = clock
    this.#onDelivered = onDelivered
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => this.end())
    source.on('close', () => this.end())
    sink.on('drain', () => this.#unblock())
  }

  /** Everything that came has been passed on, the end too. */
  get drained(): boolean {
    return this.ended && this.#queue.length === 0
  }

  /** Adds something that happens later in the stream. */
  mark(mark: Mark): void {
    this.#marks = [...this.#marks, mark].sort((a, b) => a.left - b.left)
  }

  /** No more comes from the source. */
  end(): void {
    if (this.ended) return
    this.ended = true
    if (this.#weather.dark) this.torn = true
    else this.#push(null)
  }

  /** Looks again at what may be passed on. */
  pump(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const { held } = this.#weather
    while (!held && !this.#blocked && this.#queue.length > 0) {
      const first = this.#queue[0]!
      const wait = first.due - this.#clock.now()
      // Half a microsecond: a timer may fire early by a rounding.
      if (wait > 0.5) {
        this.#timer = this.#clock.after(wait / 1000, () => this.pump())
        return
      }
      this.#queue.shift()
      this.#deliver(first.bytes)
    }
  }

  /** Forgets what is kept. */
  drop(): void {
    this.#timer?.cancel()
    this.#queue = []
    this.held = 0
    this.torn = false
    this.ended = true
  }

  #take(chunk: Buffer): void {
    this.received += chunk.length
    if (this.#weather.dark) {
      this.torn = true
      return
    }
    let from = 0
    for (const mark of this.#due(chunk.length)) {
      if (mark.left > from) this.#push(chunk.subarray(from, mark.left))
      from = mark.left
      if (!mark.act(chunk, from)) return
    }
    if (from < chunk.length) this.#push(chunk.subarray(from))
  }

  // Marks that the next `length` bytes reach, in order; the others come closer.
  #due(length: number): readonly Mark[] {
    if (this.#marks.length === 0) return this.#marks
    const marks = this.#marks.filter((mark) => !mark.done())
    const reached = (mark: Mark): boolean => mark.left < length || (mark.behind && mark.left === length)
    const due = marks.filter(reached)
    this.#marks = marks.filter((mark) => !reached(mark))
    for (const mark of this.#marks) mark.left -= length
    return due
  }

  #push(bytes: Buffer | null): void {
    const { delay, limit } = this.#weather
    let from = 0
    do {
      const piece = bytes === null || limit === 0 ? bytes : bytes.subarray(from, from + SLICE)
      const due = Math.max(this.#clock.now() + delay * 1000, this.#free)
      if (limit > 0 && piece !== null) this.#free = due + (piece.length / limit) * 1e6
      this.#queue.push({ bytes: piece, due })
      from += piece?.length ?? 0
    } while (bytes !== null && from < bytes.length)
    this.held += bytes?.length ?? 0
    if (this.held > MOST_HELD) this.#source.pause()
    this.pump()
  }

  #deliver(bytes: Buffer | null): void {
    if (bytes === null) {
      if (!this.#sink.destroyed) this.#sink.end()
      this.#onDelivered()
      return
    }
    this.held -= bytes.length
    if (this.#sink.destroyed || this.#sink.writableEnded) return
    if (this.#sink.write(bytes)) return
    this.#blocked = true
    this.#source.pause()
  }

  #unblock(): void {
    this.#blocked = false
    this.pump()
    if (!this.#blocked && !this.#source.destroyed) this.#source.resume()
  }
}
