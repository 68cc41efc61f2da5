import type { BlockDevicePair, ResizedVolume } from '@blockbraid/core'

/** A volume of another size than before. */
export interface ResizedPair {
  /** Name of its pair; its identity where it has none. */
  readonly name: string
  /** Bytes it had. */
  readonly before: number
  /** Bytes it has. */
  readonly size: number
}

/** Sizes that have changed since somebody asked, whoever looked for it. */
export interface Resizes {
  /** What a scan has found. */
  add(found: readonly ResizedVolume[] | undefined): void
  /** All of it, by the names of the pairs; from now on it is told. */
  take(pairs: readonly BlockDevicePair[]): { readonly resized?: readonly ResizedPair[] }
}

/** Makes an empty one. */
export function createResizes(): Resizes {
  const untold = new Map<string, ResizedVolume>()
  return {
    add(found = []) {
      for (const { volume, before, size } of found) {
        untold.set(volume, { volume, before: untold.get(volume)?.before ?? before, size })
      }
    },
    take(pairs) {
      const resized = [...untold.values()]
        .filter(({ before, size }) => before !== size)
        .flatMap((change) => named(change, pairs))
      untold.clear()
      return resized.length === 0 ? {} : { resized }
    },
  }
}

function named({ volume, before, size }: ResizedVolume, pairs: readonly BlockDevicePair[]): ResizedPair[] {
  const names = pairs.filter((pair) => pair.volume === volume).map(({ id }) => id)
  return (names.length === 0 ? [volume] : names).map((name) => ({ name, before, size }))
}
