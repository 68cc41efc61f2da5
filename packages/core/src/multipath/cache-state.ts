import type { BlockDevice } from '../device.ts'
import { IoOp, NO_BUFFERS } from '../io.ts'
import { IoSource } from '../io-source.ts'
import { promiseIo } from '../promises.ts'

// Its flushes are nobody's: what they would tell is left for those of a client.
const OWN = new IoSource(Number.POSITIVE_INFINITY, true)

/** What the state needs of the volume. */
export interface CachedVolume extends Pick<BlockDevice, 'submit'> {
  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void>
}

/**
 * Whether acknowledged writes of a volume may be lost until a flush, where its cache is switched at run time. Switched
 * on, it is flushed once: nobody flushes again what was acknowledged before that was known. Switched off, it holds what
 * was written until all that was in flight is done, and flushed.
 */
export class CacheState {
  readonly #volume: CachedVolume
  readonly #onEmpty: () => void
  #told: boolean | undefined
  #mayLose = false
  #switchedOn = 0
  #emptying = false

  /** `onEmpty` is called when nothing can be lost any more: `update` is then called again. */
  constructor(volume: CachedVolume, onEmpty: () => void) {
    this.#volume = volume
    this.#onEmpty = onEmpty
  }

  /** A process before may have left what is not flushed, in a cache that is off by now. */
  inherit(): void {
    this.#mayLose = true
  }

  /** What the paths tell now; whether writes may be lost. */
  update(told: boolean): boolean {
    const before = this.#told
    this.#told = told
    if (told) {
      this.#mayLose = true
      if (before === false) {
        this.#switchedOn++
        // One that fails ends as any other whose storage has failed: nobody is there to be told.
        this.#flush().catch(() => {})
      }
    } else if (this.#mayLose && !this.#emptying) {
      // Where it fails it is tried again when next a path changes.
      void this.#empty().catch(() => {})
    }
    return this.#mayLose
  }

  async #empty(): Promise<void> {
    this.#emptying = true
    try {
      for (let seen = -1; seen !== this.#switchedOn; ) {
        seen = this.#switchedOn
        await this.#volume.settled()
        await this.#flush()
      }
      this.#mayLose = false
    } finally {
      this.#emptying = false
    }
    this.#onEmpty()
  }

  #flush(): Promise<void> {
    return promiseIo(this.#volume, IoOp.Flush, 0, 0, 0, NO_BUFFERS, undefined, OWN)
  }
}
