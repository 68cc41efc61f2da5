import type { DetachableWire, Wire, WireShared } from '@blockbraid/wire'
import { acceptTlsWire } from '@blockbraid/wire'
import type { KeyOf } from './keys.ts'

/** Connections of a port that TLS begins on. */
export class Handshakes {
  readonly #keyOf: KeyOf
  readonly #shared: WireShared
  readonly #timeout: number
  readonly #open = new Set<AbortController>()

  /** `timeout`: ms that a handshake may take. */
  constructor(keyOf: KeyOf, shared: WireShared, timeout: number) {
    this.#keyOf = keyOf
    this.#shared = shared
    this.#timeout = timeout
  }

  get size(): number {
    return this.#open.size
  }

  /** Begins one; `done` gets the wire, in the turn in which there is one. */
  begin(wire: DetachableWire, done: (wire: Wire) => void): void {
    const over = new AbortController()
    this.#open.add(over)
    const timer = this.#shared.clock.after(this.#timeout, () => over.abort())
    const end = (): void => {
      this.#open.delete(over)
      timer.cancel()
    }
    acceptTlsWire(wire, this.#keyOf, this.#shared, { signal: over.signal }).then((secure) => {
      end()
      if (over.signal.aborted) secure.destroy()
      else done(secure)
    }, end)
  }

  /** Ends all of them. */
  abort(): void {
    for (const over of [...this.#open]) over.abort()
  }
}
