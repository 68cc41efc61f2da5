import type { Clock } from '../clock.ts'
import { changesData } from '../io.ts'
import type { IoStatus } from '../status.ts'
import { Errno, isPathError, NOT_EXECUTED, PATH_ERROR } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { comeBack } from './attempt.ts'
import type { Hedging } from './hedging/hedging.ts'
import type { FlowJournal } from './journal/flow-journal.ts'
import type { PathSlot } from './path-slot.ts'
import type { Tier } from './tier.ts'
import type { FlowTrace } from './trace/flow-trace.ts'
import type { Waiting } from './waiting.ts'

const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

/** What failing over asks of the device. */
export interface FailoverOwner {
  /** A failed path owes no `done` any more: what it leaves without proof is known. */
  drained(slot: PathSlot): void
  /** Whether a change that none of the usable paths takes may be taken later. */
  awaitsWritable(): boolean
  /** The storage has refused an I/O for a reservation: whether another path may be let in. */
  mayLetOthersIn(slot: PathSlot): boolean
  /** Where failovers are kept. */
  readonly journal: FlowJournal
}

/** What it asks of the flow. */
export interface FailoverFlow {
  readonly waiting: Waiting
  readonly tier: Tier
  readonly trace: FlowTrace | null
  readonly hedging: Hedging | null
  /** Nothing is tried again. */
  readonly closed: boolean
  /** Sends one, in its turn. */
  enter(attempt: Attempt): void
  /** The same, where it may still be tried. */
  retry(attempt: Attempt): void
  complete(attempt: Attempt, status: IoStatus): void
  /** It is of no use any more. */
  drop(attempt: Attempt): void
}

/** Where a try goes that has failed: to another path, to its fence, or back to whoever sent it. */
export class Failover {
  readonly #clock: Clock
  readonly #flow: FailoverFlow
  readonly #owner: FailoverOwner

  constructor(clock: Clock, flow: FailoverFlow, owner: FailoverOwner) {
    this.#clock = clock
    this.#flow = flow
    this.#owner = owner
  }

  /** A try has ended with an error. */
  failed(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    slot.entry.fail(this.#clock.now())
    const twin = this.#flow.hedging?.alone(attempt) ?? null
    if (twin !== null) this.#leaveTo(twin, attempt, slot, status)
    else if (isPathError(status)) this.#moveOn(attempt, slot, status)
    else if (isProtection(status) && changesData(attempt.io.op)) this.#refused(attempt, slot, status)
    else if (status === Errno.EBADE && this.#owner.mayLetOthersIn(slot)) this.#moveOn(attempt, slot, ELSEWHERE)
    else this.#flow.complete(attempt, status)
  }

  /** The path has failed, or has refused what another one may do. */
  #moveOn(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    const { waiting, closed, trace } = this.#flow
    trace?.failed(attempt, slot, status)
    comeBack(attempt)
    const executed = (status & NOT_EXECUTED) === 0
    blame(slot, status)
    slot.entry.retries++
    const first = attempt.deadline === 0
    waiting.bound(attempt)
    if (first) attempt.since = attempt.started
    const unproven = executed && slot.state === 'fencing' && changesData(attempt.io.op)
    if (unproven) attempt.unproven = slot
    if (executed) this.#owner.journal.moved(slot, unproven)
    if (closed || isGone(attempt)) this.#flow.retry(attempt)
    else if (unproven) waiting.hold(attempt, slot)
    else if (first) this.#flow.enter(attempt)
    else this.#flow.retry(attempt)
    this.#mayBeDrained(slot)
  }

  /** One of two tries has failed: the other one decides. */
  #leaveTo(twin: Attempt, attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    const { waiting } = this.#flow
    slot.entry.retries++
    if (twin.deadline === 0) {
      waiting.bound(twin)
      twin.since = attempt.started
    }
    this.#flow.drop(attempt)
    if (!isPathError(status)) return
    if ((status & NOT_EXECUTED) === 0) this.#owner.journal.moved(slot, false)
    this.lost(slot, status)
  }

  /** A try that nobody waits for has met a path that has failed. */
  lost(slot: PathSlot, status: IoStatus): void {
    blame(slot, status)
    this.#mayBeDrained(slot)
  }

  #mayBeDrained(slot: PathSlot): void {
    if (slot.state === 'fencing' && slot.entry.inflight === 0) this.#owner.drained(slot)
  }

  /** The array takes no changes through this path: another one may take them now, or one that is not usable yet. */
  #refused(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    const { waiting, tier, closed, trace } = this.#flow
    trace?.failed(attempt, slot, status)
    comeBack(attempt)
    slot.refuseChanges()
    const elsewhere = tier.slots.some((other) => !other.isProtected)
    if (closed || isGone(attempt) || !(elsewhere || this.#owner.awaitsWritable())) {
      return this.#flow.complete(attempt, status)
    }
    slot.entry.retries++
    waiting.bound(attempt)
    if (elsewhere) this.#flow.enter(attempt)
    else waiting.park(attempt)
  }
}

/** What a path error says of its path. */
function blame(slot: PathSlot, status: IoStatus): void {
  if ((status & NOT_EXECUTED) === 0) slot.failAfter(status)
  else if (!slot.exclusion.isOn) slot.rest()
}

function isProtection(status: IoStatus): boolean {
  return status === Errno.EROFS || status === Errno.EPERM
}

/** Whether whoever submitted it has gone. */
export function isGone({ parent }: Attempt): boolean {
  return parent?.source?.gone === true
}
