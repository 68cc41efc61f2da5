import type { Bug } from './bug.ts'

const LIFE = 'multipath/life.ts'
const SLOT = 'multipath/path-slot.ts'

/** Faults of paths: which there are, which serve, what they leave. */
export const bugsOfPaths: readonly Bug[] = [
  {
    name: 'stale-identity',
    text: 'a path that leads to another volume now is taken',
    file: 'multipath/connect.ts',
    changes: [
      [
        '  if (connection.path.volume === info.volume) return connection\n',
        '  if (info.volume !== undefined) return connection\n',
      ],
    ],
  },
  {
    name: 'twin-joined',
    text: 'a disk of the same name and another size or serial number is taken for the volume',
    file: 'multipath/misfit.ts',
    changes: [['  if (first === undefined) return undefined\n', '  if (slots.length > 0) return undefined\n']],
  },
  {
    name: 'wrong-tier',
    text: 'non-optimized paths serve beside optimized ones',
    file: 'multipath/groups/rank.ts',
    changes: [['    Number(one.optimized) - Number(other.optimized) ||\n', '']],
  },
  {
    name: 'down-unheard',
    text: 'a path that says that it is down stays in use',
    file: LIFE,
    changes: [["    path.events.on('down', onDown)\n", '']],
  },
  {
    name: 'limits-unheard',
    text: 'what a volume can do is taken as it was when the path was opened',
    file: LIFE,
    changes: [["    path.events.on('limits', onLimits)\n", '']],
  },
  {
    name: 'access-unheard',
    text: 'an access state that changes is not heard of',
    file: LIFE,
    changes: [["    path.events.on('access', onAccess)\n", '']],
  },
  {
    name: 'never-again',
    text: 'a path whose connect has failed is not tried again',
    file: 'multipath/waits.ts',
    changes: [
      ['return delay(this.#host.clock, wait, signal)', 'return delay(this.#host.clock, wait * 100_000, signal)'],
    ],
  },
  {
    name: 'not-let-back',
    text: 'a path that was taken out by hand stays out',
    file: SLOT,
    changes: [
      [
        "if (this.state === 'disabled' || this.state === 'waiting') this.#waits.interrupt()",
        "if (this.state === 'waiting') this.#waits.interrupt()",
      ],
    ],
  },
  {
    name: 'record-too-late',
    text: 'changes go through a path before it is on record',
    file: 'multipath/admission.ts',
    changes: [['await orAborted(record.open(path), signal)', 'void record.open(path).catch(() => {})']],
  },
  {
    name: 'record-without-ranges',
    text: 'a process leaves no ranges behind of a path that failed with changes',
    file: SLOT,
    changes: [['this.#life.record.leave(this.#owner.unprovenOf(this))', 'this.#life.record.leave([])']],
  },
  {
    name: 'debts-ignored',
    text: 'what a process before left in flight holds nothing up',
    file: 'agent/debts.ts',
    changes: [['(ranges.length === 0 ? NOWHERE : ranges).map(', '(ranges.length >= 0 ? NOWHERE : ranges).map(']],
  },
  {
    name: 'flush-hang-unseen',
    text: 'a flush that is never answered is waited for for ever',
    file: 'multipath/deadlines/time-outs.ts',
    changes: [['  limits[IoOp.Flush] = flushTimeout\n', '  limits[IoOp.Flush] = flushTimeout * 0\n']],
  },
  {
    name: 'watch-leaks',
    text: 'the timer of the time-outs outlives its device',
    file: 'multipath/deadlines/deadlines.ts',
    changes: [['  stop(): void {\n    this.#alarm.stop()\n', '  stop(): void {\n']],
  },
  {
    name: 'keep-alive-leaks',
    text: 'the timer of the keep-alive outlives its path',
    file: 'multipath/health/keep-alive.ts',
    changes: [['    this.#timer?.cancel()\n    this.#question?.abort()\n', '    this.#question?.abort()\n']],
  },
  {
    name: 'comparison-leaks',
    text: 'the timer that compares paths outlives its device',
    file: 'multipath/device-paths.ts',
    changes: [['if (!this.closed) this.#comparison?.start()', 'this.#comparison?.start()']],
  },
  {
    name: 'unflushed-forgotten',
    text: 'the next process is not told of what was not flushed',
    file: 'multipath/path-record.ts',
    changes: [
      [
        'return unflushed ? ledger.put({ ...debt, ranges: [] }) : ledger.drop(debt.token)',
        'return ledger.drop(debt.token)',
      ],
    ],
  },
]
