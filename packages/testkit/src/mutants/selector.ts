import type { Io, PathSelector, PathView } from '@blockbraid/core'
import type { Mutant } from '../harness/mutant.ts'
import type { SelectorSuiteOptions } from '../suites/selector.ts'

function mutant(
  breaks: string,
  name: string,
  breaking: (selector: PathSelector) => Partial<PathSelector>,
): Mutant<SelectorSuiteOptions> {
  return {
    name,
    breaks,
    apply(options) {
      const create = (): PathSelector => {
        const selector = options.create()
        return {
          name: selector.name,
          update: (paths) => selector.update(paths),
          select: (io) => selector.select(io),
          ...breaking(selector),
        }
      }
      return { ...options, create }
    },
  }
}

/** A policy of which only `select` differs: it gets the last list. */
function choosing(
  breaks: string,
  name: string,
  choose: (paths: readonly PathView[], turn: number) => PathView | undefined,
): Mutant<SelectorSuiteOptions> {
  return mutant(breaks, name, () => {
    let paths: readonly PathView[] = []
    let turn = 0
    return {
      update(list) {
        paths = list
      },
      select: () => choose(paths, turn++),
    }
  })
}

/** Broken policies, each of which {@link selectorSuite} must catch. */
export const selectorMutants: readonly Mutant<SelectorSuiteOptions>[] = [
  choosing('rule 11: select never returns undefined', 'picks nothing', () => undefined),
  choosing('rule 11: select never returns undefined', 'picks nothing when every path is busy', (paths) =>
    paths.find(({ inflight, queueDepth }) => inflight < queueDepth),
  ),
  choosing('rule 11: select returns a view of the list', 'returns a copy of a view', (paths) => ({ ...paths[0]! })),
  choosing(
    'rule 11: select returns a view of the list',
    'is asynchronous',
    (paths) => Promise.resolve(paths[0]) as unknown as PathView,
  ),
  choosing(
    'rule 11: select returns a view of the list',
    'counts past the end of the list',
    (paths, turn) => paths[turn % 5],
  ),
  mutant('rule 11: select returns views of the last list', 'ignores every list but the first', (selector) => {
    let seen = false
    return {
      update(paths) {
        if (!seen) selector.update(paths)
        seen = true
      },
    }
  }),
  mutant('rule 11: the array of an earlier update', 'keeps the array of the first update', () => {
    let first: readonly PathView[] | undefined
    let last: readonly PathView[] = []
    return {
      update(paths) {
        first ??= paths
        last = paths
      },
      select: () => (first!.length > 0 ? last[0] : undefined),
    }
  }),
  mutant('rule 11: select allocates nothing', 'allocates', (selector) => {
    let last: object = {}
    return {
      select(io) {
        last = { previous: last !== undefined, offset: io.offset }
        return selector.select(io)
      },
    }
  }),
  mutant('update: a list that shrinks', 'keeps its index when the list shrinks', () => {
    let paths: readonly PathView[] = []
    let index = 0
    return {
      update(list) {
        paths = list
      },
      select() {
        const view = paths[index] ?? paths[0]
        index = (index + 1) % 8
        return index === 0 ? view : paths[index - 1]
      },
    }
  }),
  mutant('update: it is survived', 'refuses an update with Ios in flight', (selector) => ({
    update(paths) {
      if (paths.some(({ inflight }) => inflight > 0)) throw new Error('busy')
      selector.update(paths)
    },
  })),
  mutant('select: it does not change', 'writes to the Io', (selector) => ({
    select(io) {
      ;(io as { flags: number }).flags |= 8
      return selector.select(io)
    },
  })),
  mutant('select: it does not change', 'moves the Io to block 0', (selector) => ({
    select(io) {
      ;(io as { offset: number }).offset = 0
      return selector.select(io)
    },
  })),
  mutant('select: it does not change', 'writes into the buffers of the Io', (selector) => ({
    select(io) {
      ;(io as unknown as Io).buffers[0]!.fill(0)
      return selector.select(io)
    },
  })),
  choosing('select: it does not change', 'writes a number of a view', (paths) => {
    ;(paths[0] as { inflight: number }).inflight = 99
    return paths[0]
  }),
  choosing('select: it does not change', 'defines a number of a view', (paths) =>
    Object.defineProperty(paths[0]!, 'inflight', { value: 99 }),
  ),
  choosing('rule 11: select never returns undefined', 'takes what it returns out of the list', (paths) =>
    (paths as PathView[]).shift(),
  ),
  mutant('select: it does not change', 'keeps the Io and writes it later', (selector) => {
    let kept: { offset: number } | undefined
    return {
      select(io) {
        if (kept !== undefined) kept.offset = 0
        kept = io
        return selector.select(io)
      },
    }
  }),
  mutant('select: it does not change', 'reverses the list it was given', (selector) => ({
    update(paths) {
      ;(paths as PathView[]).reverse()
      selector.update(paths)
    },
  })),
  mutant('rule 11: select allocates nothing', 'draws a fraction each time', (selector) => {
    let drawn = 0
    return {
      select(io) {
        drawn = Math.random() + drawn / 2
        return selector.select(io)
      },
    }
  }),
  mutant('heals', 'never forgets a latency', () => {
    const worst = new Map<PathView, number>()
    let paths: readonly PathView[] = []
    return {
      update(list) {
        paths = list
        for (const path of list) if (!worst.has(path)) worst.set(path, 0)
      },
      select() {
        for (const path of paths) worst.set(path, Math.max(worst.get(path)!, path.latency))
        const wait = (path: PathView): number => (worst.get(path)! + 1) * (path.inflight + 1)
        return paths.reduce((best, path) => (wait(path) < wait(best) ? path : best))
      },
    }
  }),
  choosing('spreads', 'always takes the first path', (paths) => paths[0]),
  mutant('name', 'has no name', () => ({ name: '' })),
]
