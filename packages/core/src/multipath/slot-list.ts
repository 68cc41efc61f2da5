import { BlockError } from '../errors.ts'
import type { VolumeId } from '../volume-id.ts'
import type { PathSlot } from './path-slot.ts'
import type { PathSource } from './path-source.ts'

/** The paths of a device, in the order in which they were added. */
export class SlotList {
  all: readonly PathSlot[] = []
  readonly #volume: VolumeId
  readonly #make: (source: PathSource) => PathSlot
  readonly #again = new Map<string, PathSource>()

  constructor(volume: VolumeId, make: (source: PathSource) => PathSlot) {
    this.#volume = volume
    this.#make = make
  }

  /** The one of that id; throws NOT_FOUND. */
  find(id: string): PathSlot {
    const slot = this.all.find(({ entry }) => entry.id === id)
    if (slot !== undefined) return slot
    throw new BlockError('NOT_FOUND', `volume ${this.#volume} has no path ${id}`)
  }

  /** Adds a path; one that is there stays as it is. */
  add(source: PathSource): void {
    const known = this.all.find((slot) => slot.entry.id === source.info.id)
    if (known === undefined) this.all = [...this.all, this.#make(source)]
    // Offered again while its end waits for the fence: it comes back as a new path after that.
    else if (known.ended) this.#again.set(source.info.id, source)
    else if (known.source.info.unseen === true && source.info.unseen !== true) known.seen()
  }

  /** Ends a path and takes it out; settles when it is fenced. Returns where it leads if it was offered again meanwhile. */
  async remove(id: string): Promise<PathSource | undefined> {
    const slot = this.find(id)
    this.#again.delete(id)
    await slot.end('no longer offered by the target')
    this.all = this.all.filter((other) => other !== slot)
    const again = this.#again.get(id)
    this.#again.delete(id)
    return again
  }
}
