import type { PathSelector, PathView } from '@blockbraid/core'

/** Picks the path on which an I/O is likely to wait least: its latency times what stands before it. */
export default function shortestWait(): PathSelector {
  let paths: readonly PathView[] = []
  const wait = (path: PathView): number => (path.latency + 1) * (path.inflight + 1)
  return {
    name: 'shortest-wait',
    update(usable) {
      paths = usable
    },
    select() {
      let best = paths[0]
      for (const path of paths) if (best === undefined || wait(path) < wait(best)) best = path
      return best
    },
  }
}
