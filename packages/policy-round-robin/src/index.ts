/**
 * Round robin: each path in turn, a number of I/Os at a time.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** Options of {@link roundRobin}. */
export interface RoundRobinOptions {
  /** I/Os that a path takes before the next has its turn; larger keeps sequential I/O together. @defaultValue 1 */
  minIos?: number
}

/** Makes a selector that gives every path the same number of I/Os, in turn. */
export function roundRobin(options: RoundRobinOptions = {}): PathSelector {
  const minIos = options.minIos ?? 1
  if (!Number.isInteger(minIos) || minIos < 1) {
    throw new TypeError(`minIos is ${minIos}; it must be a whole number of I/Os, 1 or more`)
  }
  let paths: readonly PathView[] = []
  let turn = 0
  let left = minIos
  return {
    name: 'round-robin',
    update(usable) {
      const current = paths[turn]
      paths = usable
      turn = Math.max(0, usable.indexOf(current as PathView))
    },
    select() {
      if (left === 0) {
        turn = turn + 1 < paths.length ? turn + 1 : 0
        left = minIos
      }
      left--
      return paths[turn]
    },
  }
}

export default roundRobin
