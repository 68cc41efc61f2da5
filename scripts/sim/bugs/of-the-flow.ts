import type { Bug } from './bug.ts'

const FLOW = 'multipath/io-flow.ts'
const ENGINE = 'multipath/engine.ts'
const FAILOVER = 'multipath/failover.ts'

/** Faults of the way of an I/O. */
export const bugsOfTheFlow: readonly Bug[] = [
  {
    name: 'retry-before-fence',
    text: 'a write moves on before its failed path is fenced',
    file: FAILOVER,
    changes: [
      ["const unproven = executed && slot.state === 'fencing'", "const unproven = executed && slot.state === 'up'"],
    ],
  },
  {
    name: 'double-completion',
    text: 'what met trouble is done twice',
    file: FLOW,
    changes: [
      [
        '    this.pool.give(attempt)\n    this.inflight--\n',
        '    const twice = attempt.deadline !== 0\n    this.pool.give(attempt)\n    this.inflight--\n',
      ],
      [
        '    parent.done(parent, status)\n',
        '    parent.done(parent, status)\n    if (twice) parent.done(parent, status)\n',
      ],
    ],
  },
  {
    name: 'lost-parked',
    text: 'the first of the parked I/Os is lost when a path comes back',
    file: ENGINE,
    changes: [
      [
        'this.#flow.goOn(this.#flow.waiting.parked.take(() => true))',
        'this.#flow.goOn(this.#flow.waiting.parked.take(() => true).slice(1))',
      ],
    ],
  },
  {
    name: 'fua-before-fence',
    text: 'a write with FUA whose path fails is acknowledged before the fence',
    file: FAILOVER,
    changes: [
      [
        '    if (unproven) attempt.unproven = slot\n',
        '    if (unproven && (attempt.io.flags & 1) !== 0) return this.#flow.complete(attempt, 0)\n    if (unproven) attempt.unproven = slot\n',
      ],
    ],
  },
  {
    name: 'flush-not-sent',
    text: 'a flush that meets a path error is taken for done',
    file: FAILOVER,
    changes: [
      [
        '    else if (isPathError(status)) this.#moveOn(attempt, slot, status)\n',
        '    else if (attempt.io.op === 2) this.#flow.complete(attempt, 0)\n    else if (isPathError(status)) this.#moveOn(attempt, slot, status)\n',
      ],
    ],
  },
  {
    name: 'swap-drops-queued',
    text: 'an exchange of the policy drops a queued I/O',
    file: ENGINE,
    changes: [['  get selection(): Selection {\n', '  get selection(): Selection {\n    this.#flow.queued.shift()\n']],
  },
  {
    name: 'no-pump',
    text: 'what waits for room is not sent when an I/O ends',
    file: FLOW,
    changes: [['    if (this.queued.head !== null) this.pump()\n', '']],
  },
  {
    name: 'beyond-depth',
    text: 'a path gets more than it works on at once',
    file: FLOW,
    changes: [['if (entry.inflight >= entry.queueDepth) {', 'if (entry.inflight > entry.queueDepth) {']],
  },
  {
    name: 'gone-goes-on',
    text: 'what a client that has gone had sent is tried again',
    file: FAILOVER,
    changes: [['  return parent?.source?.gone === true', '  return parent === null']],
  },
  {
    name: 'waiters-forgotten',
    text: 'who waits for an earlier change is not let go when that ends',
    file: FLOW,
    changes: [['    if (free) this.letGo()\n', '']],
  },
  {
    name: 'count-drifts',
    text: 'an I/O that fails is not taken off those in flight',
    file: 'multipath/path-entry.ts',
    changes: [['  fail(now: number): void {\n', '  fail(now: number): void {\n    this.inflight++\n']],
  },
  {
    name: 'bytes-drift',
    text: 'bytes are counted of I/Os that are sent, not of those that succeed',
    file: 'multipath/path-entry.ts',
    changes: [['  fail(now: number): void {\n', '  fail(now: number): void {\n    this.bytes += 512\n']],
  },
  {
    name: 'fenced-too-early',
    text: 'a path counts as fenced when its close has begun',
    file: 'multipath/until-fenced.ts',
    changes: [['      return await fence\n', '      return void (await Promise.race([fence, Promise.resolve()]))\n']],
  },
  {
    name: 'hedged-into-reused',
    text: 'a second try of a read fills the buffers of the caller, who may have them back by then',
    file: 'multipath/hedging/hedging.ts',
    changes: [
      ['    io.buffers = NO_BUFFERS\n', ''],
      ['  second.io.op = first.io.op\n', '  second.io.op = first.io.op\n  second.io.buffers = first.io.buffers\n'],
    ],
  },
  {
    name: 'hedge-wins-twice',
    text: 'the loser of two tries is not told that it has lost',
    file: 'multipath/hedging/hedging.ts',
    changes: [['    twin.parent = null\n    twin.apart = Apart.Lost\n', '']],
  },
  {
    name: 'abandoned-unguarded',
    text: 'what a client that has gone has in flight holds nobody up',
    file: ENGINE,
    changes: [['        this.#flow.guards.overAbandoned(attempt, slot, now)\n', '        void now\n']],
  },
]
