import type { Clock } from '@blockbraid/core'
import type { OutboxSocket } from './outbox.ts'

/** Where a {@link FakePipe} leads. */
export interface PipeEnd {
  arrived(bytes: Buffer): void
  /** FIN. */
  finished(): void
  /** RST. */
  reset(): void
  /** All that was written has left, and FIN behind it. */
  left(): void
}

const FIN = 'fin'
const RST = 'rst'

interface Write {
  readonly bytes: Uint8Array
  /** How much of it has left. */
  at: number
  readonly left: (() => void) | undefined
}

/** One direction of a wire in virtual time: what is written waits here until there is room on the way. */
export class FakePipe implements OutboxSocket {
  writableLength = 0
  /** Nothing more is taken. */
  destroyed = false
  readonly #clock: Clock
  readonly #to: PipeEnd
  /** Milliseconds; undefined where all arrives at once. */
  #latency: number | undefined
  #window: number
  #dark = false
  #corks = 0
  readonly #waiting: Write[] = []
  readonly #way: { readonly what: Buffer | typeof FIN | typeof RST; readonly due: number }[] = []
  /** Bytes that have left and were not read at the other end. */
  #unread = 0
  #ending = false
  #refused = false

  constructor(clock: Clock, to: PipeEnd, latency: number | undefined, window: number) {
    this.#clock = clock
    this.#to = to
    this.#latency = latency
    this.#window = window
  }

  /** Bytes that may be on the way and not read: the rest waits in the process that writes. */
  set window(bytes: number) {
    this.#window = bytes
    this.#move()
  }

  /** Milliseconds to the other end, of what is sent from now on; it overtakes nothing that was sent before. */
  set latency(milliseconds: number) {
    this.#latency = milliseconds
  }

  /** What is on its way never arrives: only where nobody sends any more may that be. */
  lose(): void {
    this.#way.length = 0
  }

  /** Nothing arrives while it is dark; what was sent meanwhile arrives afterwards. */
  set dark(dark: boolean) {
    this.#dark = dark
    this.#arrive()
  }

  cork(): void {
    this.#corks++
  }

  uncork(): void {
    this.#corks--
    this.#move()
  }

  write(bytes: Uint8Array, left?: () => void): boolean {
    this.#waiting.push({ bytes, at: 0, left })
    this.writableLength += bytes.length
    this.#move()
    return this.writableLength === 0
  }

  /** The other end has read that much. */
  read(count: number): void {
    this.#unread -= count
    this.#move()
  }

  /** FIN behind all that was written. */
  end(): void {
    this.#ending = true
    this.#move()
  }

  /** What has not left is lost. `hard`: by RST, else by FIN. */
  close(hard: boolean): void {
    if (this.destroyed) return
    this.destroyed = true
    this.writableLength = 0
    for (const { left } of this.#waiting.splice(0)) if (left !== undefined) this.#clock.defer(left)
    this.#send(hard ? RST : FIN)
  }

  /** Something came to an end that has gone: RST, though FIN went before. */
  refuse(): void {
    if (this.#refused) return
    this.#refused = true
    this.#send(RST)
  }

  #move(): void {
    if (this.#corks > 0 || this.destroyed) return
    for (;;) {
      const write = this.#waiting[0]
      if (write === undefined) break
      const { bytes, at, left } = write
      const count = Math.max(0, Math.min(bytes.length - at, this.#window - this.#unread))
      // Copied now: what changes before it leaves is sent as it is then.
      if (count > 0) {
        write.at += count
        this.#unread += count
        this.#send(Buffer.from(bytes.subarray(at, at + count)))
      }
      if (write.at < bytes.length) return
      this.#waiting.shift()
      this.writableLength -= bytes.length
      if (left !== undefined) this.#clock.defer(left)
    }
    if (!this.#ending) return
    this.destroyed = true
    this.#send(FIN)
    this.#clock.defer(() => this.#to.left())
  }

  #send(what: Buffer | typeof FIN | typeof RST): void {
    const latency = this.#latency
    this.#way.push({ what, due: this.#clock.now() + (latency ?? 0) * 1000 })
    if (latency === undefined) this.#arrive()
    else this.#clock.after(latency, this.#arrive)
  }

  // In order, whichever timer of an instant fires first.
  readonly #arrive = (): void => {
    const now = this.#clock.now()
    while (!this.#dark) {
      const next = this.#way[0]
      if (next === undefined || next.due > now) return
      this.#way.shift()
      if (next.what === FIN) this.#to.finished()
      else if (next.what === RST) this.#to.reset()
      else this.#to.arrived(next.what)
    }
  }
}
