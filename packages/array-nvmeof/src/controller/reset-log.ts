import { put16le } from '@blockbraid/wire'

/** A cross-controller reset that a controller was asked for. */
interface CrossReset {
  /** CNTLID and CIU of the controller that is reset. */
  readonly id: number
  readonly instance: number
  /** 0 in progress, 1 done, 2 failed. */
  state: number
}

const HEADER = 8
const ENTRY = 8
/** The most that the log page has room for. */
const MOST = 511
const VALIDATED = 1
const INITIATED = 2

/** Cross-controller resets as log page 1Eh tells of them. */
export class CrossResets {
  readonly #all: CrossReset[] = []

  get full(): boolean {
    return this.#all.length >= MOST
  }

  /** Those that are not over. */
  get open(): readonly CrossReset[] {
    return this.#all.filter(({ state }) => state === 0)
  }

  add(id: number, instance: number): CrossReset {
    const reset: CrossReset = { id, instance, state: 0 }
    this.#all.push(reset)
    return reset
  }

  /** Forgets those that are over. */
  removeCompleted(): void {
    const left = this.#all.filter(({ state }) => state === 0)
    this.#all.splice(0, this.#all.length, ...left)
  }

  /** The log page; `own` is the CNTLID of the controller that is asked. */
  page(own: number): Buffer {
    const page = Buffer.alloc(HEADER + ENTRY * MOST)
    put16le(page, 0, this.#all.length)
    for (const [place, { id, instance, state }] of this.#all.entries()) {
      const at = HEADER + ENTRY * place
      put16le(page, at, id)
      page[at + 2] = instance
      put16le(page, at + 4, own)
      page[at + 6] = state
      page[at + 7] = VALIDATED | INITIATED
    }
    return page
  }
}
