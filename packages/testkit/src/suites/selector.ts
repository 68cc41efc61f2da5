import type { PathSelector, PathView } from '@blockbraid/core'
import { Io, IoOp } from '@blockbraid/core'
import type { TestView } from '../doubles/views.ts'
import { createViews } from '../doubles/views.ts'
import type { CaseFrame, SuiteCase, SuiteRunner } from '../harness/runner.ts'
import { registerCases } from '../harness/runner.ts'
import { check } from '../harness/scope.ts'
import { createRandom, randomInt } from '../time/random.ts'
import { bytesPerCall } from './allocation.ts'
import type { BehindWall } from './behind-wall.ts'
import { behindWall } from './behind-wall.ts'

/** What a policy says of itself. */
export interface SelectorCapabilities {
  /** Whether it gives every one of several equal paths its share. */
  spreads: boolean
  /** Whether it uses a path that was slow once again, when that is not slow any more. @defaultValue as `spreads` */
  heals?: boolean
}

/** What {@link selectorSuite} needs. */
export interface SelectorSuiteOptions {
  /** Gives a new selector, which has seen no list yet. */
  create(): PathSelector
  /** Its capability manifest. */
  has: SelectorCapabilities
}

interface SelectorScope {
  /** Makes a selector, behind the wall that core has around one. */
  create(): BehindWall
}

type SelectorCase = SuiteCase<SelectorCapabilities, SelectorScope>

function everyOp(): Io[] {
  return [IoOp.Read, IoOp.Write, IoOp.Flush, IoOp.Trim, IoOp.WriteZeroes].map((op) => {
    const io = new Io()
    io.op = op
    io.length = op === IoOp.Flush ? 0 : 4096
    return io
  })
}

function mustBeOf(list: readonly PathView[], picked: unknown, when: string): asserts picked is TestView {
  check(picked !== undefined, `select picked nothing ${when}`)
  check(!(picked instanceof Promise), `select returned a promise ${when}`)
  const id = typeof picked === 'object' && picked !== null && 'id' in picked ? String(picked.id) : String(picked)
  check(list.includes(picked as PathView), `select returned ${id}, which is not in the last list, ${when}`)
}

/** Selects `count` times while Ios come and go at random, and counts what each path of the list got. */
function play(selector: BehindWall, list: readonly TestView[], count: number, when: string): Map<PathView, number> {
  const random = createRandom(11)
  const ios = everyOp()
  const shares = new Map<PathView, number>(list.map((view) => [view, 0]))
  const running: TestView[] = []
  for (let step = 0; step < count; step++) {
    const io = ios[step % 2]!
    io.offset = randomInt(random, 1 << 20) * 4096
    const view: unknown = selector.select(io)
    mustBeOf(list, view, when)
    shares.set(view, shares.get(view)! + 1)
    view.inflight++
    view.inflightBytes += io.length
    running.push(view)
    if (running.length < 4 * list.length) continue
    const [ended] = running.splice(randomInt(random, running.length), 1)
    ended!.inflight--
    ended!.inflightBytes -= 4096
    ended!.latency += (100 - ended!.latency) / 8
  }
  return shares
}

// What authors do not see: code that looks free of allocations.
const BOXED =
  'beside objects, closures and strings that is a fraction which host.random() or Math.random() returns, or which a let keeps ' +
  'from one call to the next: V8 puts each into a box of its own. Take integerRandom of @blockbraid/core for random numbers, ' +
  'and keep fractions, and whole numbers above 2 ** 31, in a Float64Array'

/** What core's views would show of a path after `idle` µs without I/O. */
function age(view: TestView, idle: number): void {
  if (view.inflight === 0) view.latency *= 0.5 ** (idle / 250_000)
}

/** Two paths, each of which answers four I/Os at a time after its `times`, µs; the share of the second in `count` of them. */
function shareOfSecond(
  selector: BehindWall,
  list: readonly TestView[],
  times: readonly number[],
  count: number,
): number {
  const [io] = everyOp()
  const ends: { view: TestView; at: number; time: number }[] = []
  let second = 0
  for (let sent = 0; sent < count; sent++) {
    if (ends.length === 4) {
      const next = ends.reduce((first, end) => (end.at < first.at ? end : first))
      ends.splice(ends.indexOf(next), 1)
      for (const view of list) age(view, next.at - selector.now)
      selector.now = next.at
      const { view, time } = next
      view.inflight--
      view.inflightBytes -= 4096
      view.latency += (time - view.latency) / 8
      view.throughput = (4096 / time) * 1e6
    }
    const view = selector.select(io!)
    mustBeOf(list, view, 'with one slow path')
    const index = list.indexOf(view)
    second += index
    view.inflight++
    view.inflightBytes += 4096
    ends.push({ view, at: selector.now + times[index]!, time: times[index]! })
  }
  for (const { view } of ends) Object.assign(view, { inflight: 0, inflightBytes: 0 })
  return second / count
}

const cases: readonly SelectorCase[] = [
  {
    title: 'name: it has one',
    async run({ create }) {
      check(create().name !== '', 'the name is empty')
    },
  },
  {
    title: 'rule 11: select returns a view of the list, for lists of 1 to 33 paths',
    async run({ create }) {
      for (const count of [1, 2, 3, 4, 7, 33]) {
        const selector = create()
        const list = createViews(count)
        selector.update(list)
        play(selector, list, 1000, `with ${count} paths`)
      }
    },
  },
  {
    title: 'rule 11: select never returns undefined, whatever the numbers of the paths are',
    async run({ create }) {
      const random = createRandom(12)
      const ios = everyOp()
      const selector = create()
      const list = createViews(4)
      selector.update(list)
      const extremes = [0, 1, 128, 1000, 2 ** 31, 2 ** 52]
      for (let step = 0; step < 2000; step++) {
        for (const view of list) {
          view.inflight = extremes[randomInt(random, extremes.length)]!
          view.inflightBytes = extremes[randomInt(random, extremes.length)]!
          view.latency = extremes[randomInt(random, extremes.length)]! + random()
          view.weight = [0.001, 1, 1000][randomInt(random, 3)]!
          view.queueDepth = [1, 128, 65_536][randomInt(random, 3)]!
        }
        mustBeOf(list, selector.select(ios[step % ios.length]!), `in step ${step}`)
      }
    },
  },
  {
    title: 'rule 11: select returns views of the last list only, when lists are swapped',
    async run({ create }) {
      const selector = create()
      const old = createViews(6, 'old')
      selector.update(old)
      play(selector, old, 100, 'with the first list')
      const lists = [createViews(4, 'new'), old.slice(2, 4), createViews(9, 'more'), old]
      for (const [index, list] of lists.entries()) {
        selector.update(list)
        play(selector, list, 200, `with list ${index + 2}`)
      }
    },
  },
  {
    title: 'rule 11: the array of an earlier update is not used any more',
    async run({ create }) {
      const selector = create()
      const first = createViews(4, 'old')
      selector.update(first)
      const { given } = selector
      play(selector, first, 50, 'with the first list')
      const list = createViews(4, 'new')
      selector.update(list)
      ;(given as PathView[]).length = 0
      play(selector, list, 200, 'after the first array was emptied')
    },
  },
  {
    title: 'update: a list that shrinks to one path sends everything there',
    async run({ create }) {
      const selector = create()
      const list = createViews(8)
      for (const survivor of list) {
        selector.update(list)
        play(selector, list, 37, 'with all paths')
        selector.update([survivor])
        play(selector, [survivor], 20, `with ${survivor.id} alone`)
      }
    },
  },
  {
    title: 'update: it is survived with Ios in flight, by old paths and new ones',
    async run({ create }) {
      const selector = create()
      const list = createViews(4)
      for (const [index, view] of list.entries()) {
        view.inflight = 10 * index
        view.inflightBytes = 40_960 * index
      }
      selector.update(list)
      play(selector, list, 100, 'with Ios in flight')
      const grown = [...list.slice(1), ...createViews(2, 'new')]
      selector.update(grown)
      play(selector, grown, 200, 'after an update with Ios in flight')
    },
  },
  {
    title: 'select: it does not change the Io, the views or the list',
    async run({ create }) {
      const selector = create()
      const list = createViews(4)
      const text = JSON.stringify(list)
      selector.update(list)
      for (const io of everyOp()) {
        const { op, flags, offset, length, buffers, done, owner } = io
        for (let i = 0; i < 10; i++) selector.select(io)
        const same = io.op === op && io.flags === flags && io.offset === offset && io.length === length
        check(same && io.buffers === buffers && io.done === done && io.owner === owner, 'the Io was changed')
      }
      check(JSON.stringify(list) === text, 'the views were changed')
      const names = (views: readonly PathView[]): string => views.map(({ id }) => id).join()
      check(names(selector.given) === names(list), 'the list was changed')
    },
  },
  {
    title: 'rule 11: select allocates nothing',
    async run({ create }) {
      const selector = create()
      const list = createViews(4)
      selector.update(list)
      const [io] = everyOp()
      const bytes = bytesPerCall(() => void selector.select(io!))
      check(bytes < 2, `select allocates ${bytes.toFixed(1)} bytes a call; ${BOXED}`)
    },
  },
  {
    title: 'spreads: each of several equal paths gets at least a third of an equal share',
    when: (has) => has.spreads,
    async run({ create }) {
      for (const count of [2, 4, 7]) {
        const selector = create()
        const list = createViews(count)
        selector.update(list)
        const shares = play(selector, list, 1000 * count, `with ${count} equal paths`)
        for (const [view, share] of shares) {
          check(share >= 333, `${view.id} got ${share} of ${1000 * count} Ios among ${count} equal paths`)
        }
      }
    },
  },
  {
    title: 'heals: a path that was slow is used again when it is as quick as the other one',
    when: (has) => has.heals ?? has.spreads,
    async run({ create }) {
      const selector = create()
      const list = createViews(2)
      selector.update(list)
      shareOfSecond(selector, list, [1000, 100_000], 4000)
      shareOfSecond(selector, list, [1000, 1000], 20_000)
      const share = shareOfSecond(selector, list, [1000, 1000], 4000)
      check(
        share >= 0.25,
        `it got ${(share * 100).toFixed(1)} % of the Ios 5 s after it had become as quick as the other one`,
      )
    },
  },
]

/** Proves that a policy keeps the rules of PathSelector. */
export function selectorSuite(runner: SuiteRunner, options: SelectorSuiteOptions): void {
  const frame: CaseFrame<SelectorScope> = {
    begin: () => ({ create: () => behindWall(options.create()) }),
    waitingFor: () => 'nothing',
    cleanUp: async () => {},
    verify() {},
  }
  registerCases(runner, `policy ${options.create().name}`, cases, options.has, frame, {})
}
