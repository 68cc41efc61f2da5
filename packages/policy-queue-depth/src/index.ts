/**
 * Queue depth: the path with the fewest I/Os in flight.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** Makes a selector that picks the path with the fewest I/Os in flight; equals take turns. */
export function queueDepth(): PathSelector {
  let paths: readonly PathView[] = []
  let last = 0
  return {
    name: 'queue-depth',
    update(usable) {
      paths = usable
      last = 0
    },
    select() {
      const count = paths.length
      let best = last
      let fewest = Number.POSITIVE_INFINITY
      let index = last
      for (let seen = 0; seen < count; seen++) {
        index = index + 1 < count ? index + 1 : 0
        const { inflight } = paths[index] as PathView
        if (inflight < fewest) {
          fewest = inflight
          best = index
        }
      }
      last = best
      return paths[best]
    },
  }
}

export default queueDepth
