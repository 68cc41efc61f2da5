/**
 * Service time: the path whose bytes in flight, over its relative throughput, are fewest.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** An I/O keeps a path busy as its bytes do, and as these beside. */
const EACH = 65_536
/** A path that has had no I/O for so long may be as quick as any, µs. */
const STALE = 1_000_000
/** How often throughput is read, µs: it is of the last second, and reading it costs most of a `select`. */
const REFRESH = 10_000
/** Up to so many times the time of the quickest, paths are alike, and none counts for more than the other many. */
const ALIKE = 1.5
const MOST = 64

/**
 * Makes a selector that picks the path that has the least to do: its bytes in flight and those of the I/O, with 64 KiB more
 * for each I/O, over its weight and the root of its throughput for each I/O; equals take turns. Where paths are alike that keeps
 * them alike: who has more in flight also shows more throughput.
 */
export function serviceTime(): PathSelector {
  let paths: readonly PathView[] = []
  let last = 0
  // By path: when it was picked last, µs; the time for a byte of one I/O; what its weight makes of it. Squares, so that no
  // root has to be drawn.
  let picked = new Float64Array(0)
  let times = new Float64Array(0)
  let heaviness = new Float64Array(0)
  // When the times are to be read again, and the least of them with what is in flight. Not variables: V8 would box them.
  const due = new Float64Array(1)
  const quickest = Float64Array.of(1)
  return {
    name: 'service-time',
    update(usable) {
      const before = new Map(paths.map((path, index) => [path, picked[index] as number]))
      picked = Float64Array.from(usable, (path) => before.get(path) ?? Number.NEGATIVE_INFINITY)
      heaviness = Float64Array.from(usable, ({ weight }) => 1 / (weight * weight))
      times = new Float64Array(usable.length)
      due[0] = 0
      paths = usable
      last = 0
    },
    select({ length, now }) {
      const count = paths.length
      if (now >= (due[0] as number)) {
        for (let index = 0; index < count; index++) times[index] = 1 / (paths[index] as PathView).throughput
        due[0] = now + REFRESH
      }
      const least = quickest[0] as number
      let shortest = Number.POSITIVE_INFINITY
      let best = last
      let cost = Number.POSITIVE_INFINITY
      let index = last
      for (let seen = 0; seen < count; seen++) {
        index = index + 1 < count ? index + 1 : 0
        const path = paths[index] as PathView
        const { inflight } = path
        let time = (inflight + 1) * (times[index] as number)
        if (time < shortest) shortest = time
        if (inflight === 0 && now - (picked[index] as number) > STALE) time = least
        else if (time <= least * ALIKE) time = least
        else if (time > least * MOST) time = least * MOST
        const work = path.inflightBytes + length + EACH * (inflight + 1)
        const wait = work * work * time * (heaviness[index] as number)
        if (wait < cost) {
          cost = wait
          best = index
        }
      }
      if (shortest < Number.POSITIVE_INFINITY) quickest[0] = shortest
      picked[best] = now
      last = best
      return paths[best]
    },
  }
}

export default serviceTime
