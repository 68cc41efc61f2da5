import type { BlockError, SignalOptions } from '@blockbraid/core'
import { aborted } from './execute.ts'

interface Waiting {
  readonly isDone: () => boolean
  resolve(): void
  reject(error: BlockError): void
}

/** Those who wait until commands have ended. */
export class Drains {
  readonly #waiting = new Set<Waiting>()
  readonly #watch: (watch: (() => void) | null) => void

  /** `watch` is given whom to call when a command has ended, or null where nobody waits. */
  constructor(watch: (watch: (() => void) | null) => void) {
    this.#watch = watch
  }

  /** Settles when `isDone` says so after a command has ended. */
  wait(isDone: () => boolean, { signal }: SignalOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(waiting)
        if (this.#waiting.size === 0) this.#watch(null)
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => waiting.reject(aborted(signal as AbortSignal))
      const waiting: Waiting = {
        isDone,
        resolve() {
          settle()
          resolve()
        },
        reject(error) {
          settle()
          reject(error)
        },
      }
      this.#waiting.add(waiting)
      this.#watch(this.#look)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
      else if (isDone()) waiting.resolve()
    })
  }

  /** Nothing ends any more. */
  failAll(error: BlockError): void {
    for (const waiting of [...this.#waiting]) waiting.reject(error)
  }

  readonly #look = (): void => {
    for (const waiting of [...this.#waiting]) if (waiting.isDone()) waiting.resolve()
  }
}
