/**
 * Stream: what reads or writes on where the I/O before has ended stays on its path; all else goes where least is in flight.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** Ends of I/Os that are remembered, a power of two: about as many I/Os may come between two of a stream. */
const PLACES = 512
const SHIFT = 32 - Math.log2(PLACES)

/** The place of an offset: neighbours, and multiples of large numbers, are spread. */
const placeOf = (offset: number): number => Math.imul(offset / 512, 0x9e3779b1) >>> SHIFT

/** Makes a selector that keeps each sequential stream on one path, and balances the rest. */
export function stream(): PathSelector {
  let paths: readonly PathView[] = []
  let last = 0
  // Where an I/O has ended, and on which path of the list.
  const ends = new Float64Array(PLACES).fill(-1)
  const carriers = new Int32Array(PLACES)
  const fewest = (): number => {
    let best = last
    let least = Number.POSITIVE_INFINITY
    let index = last
    for (let seen = 0; seen < paths.length; seen++) {
      index = index + 1 < paths.length ? index + 1 : 0
      const { inflight } = paths[index] as PathView
      if (inflight < least) {
        least = inflight
        best = index
      }
    }
    last = best
    return best
  }
  return {
    name: 'stream',
    update(usable) {
      const moved = paths.map((path) => usable.indexOf(path))
      for (let place = 0; place < PLACES; place++) {
        const index = moved[carriers[place] as number] ?? -1
        if (index < 0) ends[place] = -1
        carriers[place] = Math.max(0, index)
      }
      paths = usable
      last = 0
    },
    select({ offset, length }) {
      const place = placeOf(offset)
      const index = ends[place] === offset && length > 0 ? (carriers[place] as number) : fewest()
      if (length > 0) {
        const next = placeOf(offset + length)
        ends[next] = offset + length
        carriers[next] = index
      }
      return paths[index]
    },
  }
}

export default stream
