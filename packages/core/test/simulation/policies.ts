import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { IoView, PathSelector, PathView } from '../../src/index.ts'
import type { World } from './world.ts'

/** Makes one of the policies, by chance; with `meddles` it writes into all that it gets. */
export function policy(world: World, meddles: boolean): () => PathSelector {
  const create = world.host.random() < 0.5 ? roundRobin : queueDepth
  return meddles ? () => meddling(create(), world.host.random) : create
}

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
  acts[Math.floor(random() * acts.length)]!()
}

function meddling(inner: PathSelector, random: () => number): PathSelector {
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
