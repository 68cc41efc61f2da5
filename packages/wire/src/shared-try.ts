import { BlockError } from '@blockbraid/core'

/** A try that is under way, and how many wait for it. */
interface Trying<Result> {
  readonly result: Promise<Result>
  readonly stop: AbortController
  waiting: number
  over: boolean
}

/** One try at a time for each key, shared by all who ask meanwhile; called off when nobody waits for it any more. */
export class SharedTry<Result> {
  readonly #tries = new Map<string, Trying<Result>>()

  /** The result of the try that is under way, or of one that begins now. */
  ask(key: string, signal: AbortSignal, begin: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (signal.aborted) return Promise.reject(signal.reason)
    const trying = this.#tries.get(key) ?? this.#begin(key, begin)
    trying.waiting++
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort)
        trying.waiting--
        if (trying.waiting > 0 || trying.over) return
        this.#end(key, trying)
        trying.stop.abort()
      }
      const onAbort = (): void => {
        leave()
        reject(new BlockError('ABORTED', 'the call was aborted', { cause: signal.reason }))
      }
      signal.addEventListener('abort', onAbort)
      trying.result.then(resolve, reject).finally(() => {
        if (!signal.aborted) leave()
      })
    })
  }

  #begin(key: string, begin: (signal: AbortSignal) => Promise<Result>): Trying<Result> {
    const stop = new AbortController()
    const trying = { result: begin(stop.signal), stop, waiting: 0, over: false }
    this.#tries.set(key, trying)
    trying.result.catch(() => {}).finally(() => this.#end(key, trying))
    return trying
  }

  #end(key: string, trying: Trying<Result>): void {
    trying.over = true
    if (this.#tries.get(key) === trying) this.#tries.delete(key)
  }
}
