import type { Clock, Timer } from '@blockbraid/core'

/** What a {@link Pulse} does. */
export interface PulseHost {
  /** Time. */
  readonly clock: Clock
  /** Milliseconds between two questions. */
  readonly interval: number
  /** Whether to go on. */
  isOpen(): boolean
  /** Somebody is there: when a question begins, and every `interval` as long as it has no answer. */
  awake(): void
  /** Asks; never rejects. */
  ask(): Promise<void>
}

// How much of an interval the first question, and each later one, waits at least.
const EARLIEST = 0.5
const EARLY = 0.95

/** Asks again and again, one question at a time; those that begin at once do not ask at once for ever. */
export class Pulse {
  readonly #host: PulseHost
  #timer: Timer | undefined
  #beat: Timer | undefined
  #phase: number

  /** `seed`: what makes it differ from others. */
  constructor(seed: string, host: PulseHost) {
    this.#host = host
    this.#phase = hash(seed)
    this.#schedule(EARLIEST)
  }

  /** Asks no more. */
  stop(): void {
    this.#timer?.cancel()
    this.#beat?.cancel()
  }

  /** The next question comes within an interval, and not before this part of it. */
  #schedule(earliest: number): void {
    this.#phase = (Math.imul(this.#phase, 1_664_525) + 1_013_904_223) >>> 0
    const wait = this.#host.interval * (earliest + ((1 - earliest) * this.#phase) / 2 ** 32)
    this.#timer = this.#host.clock.after(wait, () => void this.#ask())
  }

  #stayAwake(): void {
    this.#host.awake()
    this.#beat = this.#host.clock.after(this.#host.interval, () => this.#stayAwake())
  }

  async #ask(): Promise<void> {
    this.#stayAwake()
    await this.#host.ask()
    this.#beat?.cancel()
    if (this.#host.isOpen()) this.#schedule(EARLY)
  }
}

/** FNV-1a: other texts, other numbers. */
function hash(text: string): number {
  let sum = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x0100_0193)
  return sum >>> 0
}
