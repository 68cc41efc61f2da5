import type { Clock } from '../../clock.ts'
import type { BlockDevice } from '../../device.ts'
import type { Io } from '../../io.ts'
import { IoOp, NO_BUFFERS } from '../../io.ts'
import type { Attempt } from '../attempt.ts'
import { Apart, AttemptList } from '../attempt.ts'
import type { AttemptPool } from '../attempt-pool.ts'
import { Alarm } from '../deadlines/alarm.ts'
import type { PathEntry } from '../path-entry.ts'
import type { PathSlot } from '../path-slot.ts'
import type { Tier } from '../tier.ts'
import type { FlowTrace } from '../trace/flow-trace.ts'
import { Budget } from './budget.ts'
import { scatter } from './scatter.ts'
import { Slowness } from './slowness.ts'

// Between two looks at what is late, µs: timers are no finer.
const LOOK_EVERY = 1000

/** What hedging asks of the flow. */
export interface HedgedFlow {
  readonly pool: AttemptPool
  readonly tier: Tier
  readonly trace: FlowTrace | null
  /** Nothing is tried again. */
  readonly closed: boolean
}

/**
 * A read that is slow for its path and size gets a second try on another path of the tier; the first answer wins. Nothing
 * writes into a caller's memory late: where there may be a second try the path leaves views of its own, and those of the
 * winner are handed on, or copied. The loser stays what it is for its path: in flight, counted, and late in the end.
 */
export class Hedging {
  readonly #clock: Clock
  readonly #flow: HedgedFlow
  /** In flight, with no second try. */
  readonly #reads = new AttemptList(false)
  readonly #slowness = new Slowness()
  readonly #budget = new Budget()
  readonly #alarm: Alarm

  constructor(clock: Clock, flow: HedgedFlow) {
    this.#clock = clock
    this.#alarm = new Alarm(clock, () => this.#look())
    this.#flow = flow
  }

  /** One is about to be sent. */
  sent(attempt: Attempt, entry: PathEntry): void {
    const { io, started } = attempt
    const others = this.#flow.tier.slots.length - (entry.index === -1 ? 0 : 1)
    if (io.op !== IoOp.Read || others === 0) return
    attempt.apart = Apart.Watched
    io.buffers = NO_BUFFERS
    this.#reads.insert(attempt)
    this.#budget.earn()
    this.#alarm.by(started + this.#slowness.after(entry, io.length))
  }

  #look(): void {
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    for (let attempt = this.#reads.head; attempt !== null; ) {
      const after = attempt.next
      const { entry } = attempt.slot as PathSlot
      const due = attempt.started + this.#slowness.after(entry, attempt.io.length)
      if (due > now || !this.#hedge(attempt, entry)) next = Math.min(next, due)
      attempt = after
    }
    this.#alarm.by(Math.max(next, now + LOOK_EVERY))
  }

  #hedge(first: Attempt, slow: PathEntry): boolean {
    const flow = this.#flow
    const parent = first.parent as Io
    if (flow.closed || parent.source?.gone) return false
    if (!this.#budget.allows(this.#reads.length + this.#budget.out)) return false
    const entry = otherPath(flow.tier.entries, slow)
    if (entry === undefined) return false
    this.#reads.remove(first)
    this.#budget.spend()
    const second = flow.pool.take()
    copyTry(first, second)
    flow.trace?.hedged(first, second)
    flow.trace?.picked(second, entry, entry, flow.tier.entries)
    second.slot = flow.tier.slots[entry.index] as PathSlot
    second.started = this.#clock.now()
    entry.begin(second.io.length, second.started)
    ;(entry.device as BlockDevice).submit(second.io)
    return true
  }

  /** One has succeeded that was sent so: it has won. */
  won(attempt: Attempt, now: number): void {
    const { parent, io, twin } = attempt
    this.#learn(attempt, now)
    attempt.list?.remove(attempt)
    const { buffers } = parent as Io
    if (buffers.length === 0) (parent as Io).buffers = io.buffers
    else scatter(io.buffers, buffers)
    if (twin === null) return
    attempt.twin = null
    twin.twin = null
    twin.parent = null
    twin.apart = Apart.Lost
  }

  /** One that nobody waits for any more has succeeded, too. */
  late(attempt: Attempt, now: number): void {
    this.#learn(attempt, now)
  }

  /** One that nobody waits for any more is in flight no longer. */
  over(): void {
    this.#budget.out--
  }

  /** One has failed, and its twin goes on alone: that is returned; null where there is none. */
  alone(attempt: Attempt): Attempt | null {
    attempt.list?.remove(attempt)
    const { twin } = attempt
    if (twin === null) return null
    attempt.twin = null
    twin.twin = null
    this.#budget.out--
    return twin
  }

  #learn({ slot, io, started }: Attempt, now: number): void {
    this.#slowness.learn((slot as PathSlot).entry, io.length, now - started)
  }

  stop(): void {
    this.#alarm.stop()
  }
}

/** The one with room and the fewest in flight; undefined where no other one has any. */
function otherPath(entries: readonly PathEntry[], slow: PathEntry): PathEntry | undefined {
  let best: PathEntry | undefined
  for (const entry of entries) {
    if (entry === slow || entry.inflight >= entry.queueDepth) continue
    if (best === undefined || entry.inflight < best.inflight) best = entry
  }
  return best
}

/** Makes `second` a try of what `first` tries. */
function copyTry(first: Attempt, second: Attempt): void {
  second.parent = first.parent
  second.arrival = first.arrival
  second.since = first.since
  second.deadline = first.deadline
  second.apart = Apart.Watched
  second.twin = first
  first.twin = second
  second.io.op = first.io.op
  second.io.flags = first.io.flags
  second.io.offset = first.io.offset
  second.io.length = first.io.length
  second.io.source = first.io.source
}
