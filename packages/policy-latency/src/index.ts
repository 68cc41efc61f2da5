/**
 * Latency: the path on which an I/O is likely to be done first, by what was learnt of each.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** What counts beside the I/Os in flight: a path of much shorter latency is not left for having a few more of them. */
const AHEAD = 4

/** Makes a selector that picks the path with the least of `latency * (I/Os in flight + 4) / weight`; equals take turns. */
export function latency(): PathSelector {
  let paths: readonly PathView[] = []
  let last = 0
  let heaviness = new Float64Array(0)
  return {
    name: 'latency',
    update(usable) {
      paths = usable
      heaviness = Float64Array.from(usable, ({ weight }) => 1 / weight)
      last = 0
    },
    select() {
      const count = paths.length
      let best = last
      let least = Number.POSITIVE_INFINITY
      let index = last
      for (let seen = 0; seen < count; seen++) {
        index = index + 1 < count ? index + 1 : 0
        const path = paths[index] as PathView
        const wait = (path.latency + 1) * (path.inflight + AHEAD) * (heaviness[index] as number)
        if (wait < least) {
          least = wait
          best = index
        }
      }
      last = best
      return paths[best]
    },
  }
}

export default latency
