import type { PathSelector, PathView } from '@blockbraid/core'

/** Takes the paths in turn. Not a reference implementation: see `@blockbraid/policy-round-robin`. */
export function createMinimalSelector(): PathSelector {
  let paths: readonly PathView[] = []
  let next = 0
  return {
    name: 'minimal',
    update(list) {
      paths = list
    },
    select() {
      next = next + 1 < paths.length ? next + 1 : 0
      return paths[next]
    },
  }
}
