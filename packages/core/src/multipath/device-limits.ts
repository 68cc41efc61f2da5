import type { Clock } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import type { Path } from '../target.ts'
import type { CachedVolume } from './cache-state.ts'
import { CacheState } from './cache-state.ts'
import type { Durability } from './durability.ts'
import { combineLimits, takesAll, widen } from './limits.ts'
import { narrowFront } from './narrow-front.ts'
import type { PathEntry } from './path-entry.ts'
import type { PathSlot } from './path-slot.ts'
import { WriteHold } from './write-hold.ts'

/** What a device can do, as its paths come, go and change. */
export class LiveLimits {
  /** Now. */
  limits: DeviceLimits
  readonly #clock: Clock
  readonly #durability: Durability
  readonly #cache: CacheState
  readonly #hold: WriteHold
  #widest: DeviceLimits | undefined

  /**
   * `patience`: how long a device that could be written waits for a path that takes changes, ms. `changed` is called when
   * something is other than it was, though no path has changed: `update` is then called again.
   */
  constructor(
    first: DeviceLimits,
    volume: CachedVolume,
    durability: Durability,
    { clock, patience, changed }: { clock: Clock; patience: number; changed: () => void },
  ) {
    this.limits = first
    this.#clock = clock
    this.#durability = durability
    this.#cache = new CacheState(volume, changed)
    this.#hold = new WriteHold(clock, patience, changed)
  }

  /** A process before may have left what is not flushed, in a cache that is off by now. */
  inherit(): void {
    this.#cache.inherit()
  }

  /** Whether the first path is still to come. */
  get unknown(): boolean {
    return this.#widest === undefined
  }

  /** Takes in what the paths tell; nothing changes where none is up. */
  update(slots: readonly PathSlot[]): void {
    const entries = slots.filter((slot) => slot.state === 'up').map((slot) => slot.entry)
    if (entries.length === 0) return
    const { writeCache: hadCache, fua: hadFua } = this.limits
    const told = combineLimits(entries.map((entry) => (entry.path as Path).limits))
    const readOnly = this.#hold.update(slots)
    const combined = readOnly === told.readOnly ? told : { ...told, readOnly }
    // Once something was lost, flushes come here for as long as the device lives: they are how clients are told.
    const writeCache = this.#cache.update(combined.writeCache) || this.#durability.hasLost
    this.limits = writeCache === combined.writeCache ? combined : { ...combined, writeCache }
    this.#widest = widen(this.#widest, this.limits)
    if (writeCache && !hadCache) this.#durability.cacheOn()
    if (hadFua && !this.limits.fua) this.#durability.fuaOff()
    for (const entry of entries) this.#chooseFront(entry, entry.path as Path, this.#widest)
  }

  // An I/O that was let through while wider paths were up must find its way on a narrower one too.
  #chooseFront(entry: PathEntry, path: Path, widest: DeviceLimits): void {
    if (takesAll(path.limits, widest)) entry.device = path
    else if (entry.device === null || entry.device === path) entry.device = narrowFront(path, this.#clock)
  }

  /** Whether a change that none of the usable paths takes may be taken later. */
  awaitsWritable(slots: readonly PathSlot[]): boolean {
    return this.#hold.awaits(slots)
  }

  stop(): void {
    this.#hold.stop()
  }
}
