import type { IoView, PathSelector, PathView } from '@blockbraid/core'
import { randomInt } from '../time/random.ts'

/** Something that a policy must not do; where it is refused, it throws, and core takes the first path. */
export function meddle(io: IoView, paths: readonly PathView[], random: () => number): void {
  const acts: (() => void)[] = [
    () => Object.assign(io, { offset: 0 }),
    () => Object.assign(io, { length: 512, flags: 0 }),
    () => Object.assign(io, { op: 0 }),
    () => Object.assign(io, { buffers: [] }),
    () => Object.assign(io, { source: null, owner: null }),
    () => void (paths as PathView[]).shift(),
    () => void (paths as PathView[]).reverse(),
    () => Object.assign(paths[0] ?? {}, { inflight: 99, queueDepth: 0 }),
  ]
  acts[randomInt(random, acts.length)]!()
}

/** A policy that writes into what it gets. */
export function meddling(inner: PathSelector, random: () => number): PathSelector {
  let paths: readonly PathView[] = []
  return {
    name: inner.name,
    update(list) {
      paths = list
      inner.update(list)
    },
    select(io) {
      if (random() < 0.2) meddle(io, paths, random)
      return inner.select(io)
    },
  }
}
