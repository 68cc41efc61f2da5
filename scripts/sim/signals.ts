type Listener = () => void

/** What core, the memory array and p-queue use of an AbortSignal. */
class Signal {
  /** Whoever is called when it fires; with whether only once. */
  #listeners = new Set<Listener>()
  /** Made of this one and others. */
  #composites: Signal[] = []
  /** What it is made of, where it is. */
  #sources: readonly Signal[] | undefined
  #reason: unknown
  #fired = false

  static any(signals: readonly Signal[]): Signal {
    const made = new Signal()
    const fired = signals.find(({ aborted }) => aborted)
    if (fired !== undefined) made.#set(fired.#reason)
    else {
      made.#sources = signals.flatMap((signal) => signal.#sources ?? [signal])
      for (const source of made.#sources) source.#composites.push(made)
    }
    return made
  }

  static abort(reason?: unknown): Signal {
    const made = new Signal()
    made.#set(reason)
    return made
  }

  get aborted(): boolean {
    return this.#fired
  }

  get reason(): unknown {
    // Costly, and looked at by nobody but in an error.
    if (this.#fired) this.#reason ??= new DOMException('This operation was aborted', 'AbortError')
    return this.#reason
  }

  throwIfAborted(): void {
    if (this.#fired) throw this.reason
  }

  addEventListener(_type: 'abort', listener: Listener): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    this.#listeners.delete(listener)
  }

  fire(reason: unknown): void {
    if (this.#fired) return
    const composites = this.#composites.filter(({ aborted }) => !aborted)
    this.#composites = []
    this.#set(reason)
    for (const composite of composites) composite.#set(reason)
    this.#tell()
    for (const composite of composites) composite.#tell()
  }

  #set(reason: unknown): void {
    this.#fired = true
    this.#reason = reason
  }

  // It fires once: so does each of its listeners.
  #tell(): void {
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
    this.#listeners.clear()
  }
}

class Controller {
  readonly signal: Signal = new Signal()

  abort(reason?: unknown): void {
    this.signal.fire(reason)
  }
}

/**
 * Exchanges the signals of this process for light ones. A composite one of Node is held by weak references, with all
 * that its listeners know, until a collection of the whole heap: a third of what a schedule costs.
 */
export function useLightSignals(): void {
  Object.assign(globalThis, { AbortController: Controller, AbortSignal: Signal })
}
