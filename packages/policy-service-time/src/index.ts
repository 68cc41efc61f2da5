/**
 * Service time: the path whose bytes in flight, over its relative throughput, are fewest.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** An I/O keeps a path busy as its bytes do, and as these beside. */
const EACH = 65_536
/** A path that has had no I/O for so long may be as quick as any, µs. */
const STALE = 1_000_000
/** Speeds above this part of the best are alike, and none counts for less than the other part of it. */
const ALIKE = 0.8
const LEAST = 1 / 8

/**
 * Makes a selector that picks the path that has the least to do: its bytes in flight and those of the I/O, with 64 KiB more
 * for each I/O, over its weight and the root of its throughput for each I/O; equals take turns. Where paths are alike that keeps
 * them alike: who has more in flight also shows more throughput.
 */
export function serviceTime(): PathSelector {
  let paths: readonly PathView[] = []
  let last = 0
  // When each was picked last, µs, and the speed of the quickest. Not variables: V8 would box fractions.
  let picked = new Float64Array(0)
  const top = new Float64Array(1)
  return {
    name: 'service-time',
    update(usable) {
      const before = new Map(paths.map((path, index) => [path, picked[index] as number]))
      picked = Float64Array.from(usable, (path) => before.get(path) ?? 0)
      paths = usable
      last = 0
    },
    select({ length, now }) {
      const count = paths.length
      const quickest = Math.max(top[0] as number, 1)
      top[0] = 0
      let best = last
      let least = Number.POSITIVE_INFINITY
      let index = last
      for (let seen = 0; seen < count; seen++) {
        index = index + 1 < count ? index + 1 : 0
        const path = paths[index] as PathView
        const { inflight } = path
        let speed = Math.sqrt(path.throughput / (inflight + 1))
        if (speed > (top[0] as number)) top[0] = speed
        if (inflight === 0 && (speed === 0 || now - (picked[index] as number) > STALE)) speed = quickest
        else if (speed > quickest * ALIKE) speed = quickest
        else speed = Math.max(speed, quickest * LEAST)
        const cost = (path.inflightBytes + length + EACH * (inflight + 1)) / (path.weight * speed)
        if (cost < least) {
          least = cost
          best = index
        }
      }
      picked[best] = now
      last = best
      return paths[best]
    },
  }
}

export default serviceTime
