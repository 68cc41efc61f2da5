import type { Clock, SignalOptions, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** Somebody who waits for a sign of life. */
interface Asker {
  readonly send: () => void
  settle(error?: BlockError): void
}

// What was heard so long ago is an answer, too, milliseconds.
const MOMENT = 100
// A question may be lost on what it is about, a unit that hangs: then the next one who waits asks, milliseconds.
const AGAIN = 1000

/** Whether the other end of a connection lives: one question for all who ask at once, and whatever comes is the answer. */
export class SignOfLife {
  readonly #clock: Clock
  readonly #asking: Asker[] = []
  #heardAt = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  /** When the first question was sent that nothing was heard since, µs; -1: there is none. */
  #askedAt = -1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds since it was first asked without an answer, whether anybody still waits or not; 0: it owes none. */
  get silence(): number {
    return this.#askedAt < 0 ? 0 : (this.#clock.now() - this.#askedAt) / 1000
  }

  /** Something came. */
  heard(): void {
    this.#heardAt = this.#clock.now()
    this.#askedAt = -1
    if (this.#asking.length > 0) this.#settleAll()
  }

  /** Settles when something is heard. `send` asks for it. Rejects when the signal fires, or with what `end` is given. */
  ask(send: () => void, { signal }: SignalOptions = {}): Promise<void> {
    if (signal?.aborted) return Promise.reject(aborted(signal))
    if (this.#clock.now() - this.#heardAt < MOMENT * 1000) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#leave(asker)
        asker.settle(aborted(signal as AbortSignal))
      }
      const asker: Asker = {
        send,
        settle(error) {
          signal?.removeEventListener('abort', onAbort)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort)
      this.#asking.push(asker)
      if (this.#timer === undefined) this.#ask(asker)
    })
  }

  /** Nothing comes any more. */
  end(error: BlockError): void {
    this.#settleAll(error)
  }

  #ask(asker: Asker): void {
    this.#timer = this.#clock.after(AGAIN, () => {
      this.#asking.push(this.#asking.shift() as Asker)
      this.#ask(this.#asking[0] as Asker)
    })
    if (this.#askedAt < 0) this.#askedAt = this.#clock.now()
    asker.send()
  }

  #leave(asker: Asker): void {
    this.#asking.splice(this.#asking.indexOf(asker), 1)
    if (this.#asking.length === 0) this.#stop()
  }

  #settleAll(error?: BlockError): void {
    this.#stop()
    for (const asker of this.#asking.splice(0)) asker.settle(error)
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

function aborted(signal: AbortSignal): BlockError {
  const { reason } = signal
  return BlockError.is(reason) ? reason : new BlockError('ABORTED', 'no sign of life came in time', { cause: reason })
}
