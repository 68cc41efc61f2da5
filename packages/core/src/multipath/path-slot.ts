import type { HeldStatus, PathHealth, PathState, PathStatus } from '../pair.ts'
import type { IoStatus } from '../status.ts'
import { describeStatus } from '../status.ts'
import type { Path, PathTrouble } from '../target.ts'
import { Exclusion } from './exclusion.ts'
import { FenceCounts } from './fences.ts'
import { priorityOf } from './groups/priority.ts'
import { Transition } from './groups/transition.ts'
import { SILENT } from './health/keep-alive.ts'
import { Vitals } from './health/vitals.ts'
import { Life } from './life.ts'
import { PathEntry } from './path-entry.ts'
import type { PathSource } from './path-source.ts'
import { Pause } from './pause.ts'
import type { SlotOwner } from './slot-owner.ts'
import { statusOf } from './slot-status.ts'
import { kindOfFailure, TroubleCounts } from './troubles.ts'
import { Waits } from './waits.ts'

/** A path inside a device: what it may do, and what ends it. Its {@link Life} connects it again. */
export class PathSlot {
  readonly source: PathSource
  readonly entry: PathEntry
  state: PathState = 'connecting'
  reason = ''
  since: number
  everUp = false
  ended = false
  /** Whether it was taken out by hand. */
  disabled = false
  /** Whether its path, which may not be up yet, is there to tell what the storage loses. */
  hears = false
  /** Whether changes may go through it, or could when it was last up. */
  takesChanges = false
  /** Why it takes no I/O though it is up; an empty text where it does. */
  standsBack = ''
  /** Whether it answers, stays up and keeps up with the others. */
  readonly vitals: Vitals
  /** By the options. */
  readonly priority: number
  /** Whether its access state is about to change. */
  readonly transition: Transition
  /** Whether a reservation keeps it out. */
  readonly exclusion: Exclusion
  #owner: SlotOwner<PathSlot>
  readonly #resting: Pause
  /** Refuses changes, though its path does not tell that it would. */
  readonly #refusing: Pause
  readonly #waits: Waits
  readonly #life: Life<PathSlot>
  readonly #troubles = new TroubleCounts()
  readonly #fences = new FenceCounts()
  #waiters: (() => void)[] = []

  constructor(source: PathSource, owner: SlotOwner<PathSlot>) {
    this.source = source
    this.#owner = owner
    this.entry = new PathEntry(source, owner.options.weights[source.info.id] ?? 1, owner.host.clock)
    this.since = owner.host.clock.now()
    const { clock } = owner.host
    const changed = (): void => owner.slotChanged(this)
    this.priority = priorityOf(owner.options, source)
    this.transition = new Transition(clock, owner.options.transitionTimeout, () => this.accessChanged())
    this.exclusion = new Exclusion(clock, changed)
    this.#resting = new Pause(clock, changed)
    this.#refusing = new Pause(clock, changed)
    this.vitals = new Vitals(owner.host, owner.options, this.entry, {
      fail: (reason, kind) => this.fail(reason, kind),
      failHung: (reason, kind) => this.failHung(reason, kind),
      ailed: (state, reason) => owner.slotAiled(this, state, reason),
      eased: changed,
    })
    this.#waits = new Waits(owner.host, owner.options, () => this.ended)
    this.#life = new Life<PathSlot>(this, owner, {
      waits: this.#waits,
      fences: this.#fences,
      refusing: this.#refusing,
    })
  }

  /** Whether I/O may be sent through it now. */
  get usable(): boolean {
    return this.takesIo && !this.#resting.isOn
  }

  /** Why it goes last though it is up; an empty text where it is well. */
  get health(): PathHealth | '' {
    return this.vitals.state
  }

  /** The same, though it may rest for a moment. */
  get takesIo(): boolean {
    const { access } = this.entry
    return this.state === 'up' && (access === 'optimized' || access === 'non-optimized')
  }

  /** Whether changes through it are refused, by what its path tells or by what it has done. */
  get isProtected(): boolean {
    return this.#refusing.isOn || this.entry.path?.limits.readOnly === true
  }

  /** Counts as protected for a while, after the array refused a change though its path does not tell that it would. */
  refuseChanges(): void {
    if (this.isProtected || this.state !== 'up') return
    this.#refusing.begin(this.#owner.options.reconnectDelayMax)
    this.#owner.slotChanged(this)
  }

  /** Keeps I/O away for a moment, after the array refused a command that another path may take. */
  rest(): void {
    if (this.#resting.isOn || this.state !== 'up') return
    this.#resting.begin(this.#owner.options.reconnectDelay)
    this.#owner.slotChanged(this)
  }

  /** As `fail`, where something had no answer. */
  failHung(reason: string, kind: string): void {
    const { ioTimeout, keepAlive, keepAliveTimeout } = this.#owner.options
    this.#fail(reason, kind, kind === SILENT ? keepAlive + keepAliveTimeout : ioTimeout)
  }

  /** Ends the connection after an I/O ended with a path error. */
  failAfter(status: IoStatus): void {
    const failure = this.entry.path?.failure
    if (failure === undefined) this.fail(`an I/O ended with ${describeStatus(status)}`)
    else this.fail(failure.message, kindOfFailure(failure))
  }

  /**
   * Ends the connection; in-flight Ios come back with path errors, then the fence is awaited. `kind`: by what it is
   * counted among the troubles of the path.
   */
  fail(reason: string, kind?: string): void {
    this.#fail(reason, kind, 0)
  }

  #fail(reason: string, kind: string | undefined, hung: number): void {
    if (this.state !== 'up') return
    const path = this.entry.path as Path
    this.entry.failures++
    if (kind !== undefined) this.#troubles.count(kind)
    this.#stopRest()
    this.hears = false
    // Before close: its in-flight Ios may come back from inside it, and must find it out of the list.
    this.state = 'fencing'
    try {
      this.change('fencing', reason)
    } finally {
      this.#life.lost(path.close(), hung)
    }
  }

  #stopRest(): void {
    this.exclusion.standIn()
    this.#resting.end()
    this.#refusing.end()
    this.transition.stop()
    this.vitals.stop()
  }

  /** Takes the path out until {@link enable}; settles when it is fenced. */
  async disable(reason: string): Promise<void> {
    this.disabled = true
    this.fail(reason)
    this.#waits.interrupt()
    while (!this.ended && this.disabled && this.state !== 'disabled') await this.#nextChange()
    if (this.ended) await this.over
  }

  /** Lets a path that was taken out connect, and one that waits try at once. */
  enable(): void {
    this.disabled = false
    this.#waits.hasten()
    this.vitals.restore()
    if (this.state === 'disabled' || this.state === 'waiting') this.#waits.interrupt()
  }

  /** Something answers where it was only expected. */
  seen(): void {
    if (this.state === 'waiting' && !this.#waits.keptOut) this.#waits.interrupt()
  }

  /** No path is left: one that is kept out is tried, too. */
  hurry(): void {
    if (this.#waits.keptOut) this.#waits.interrupt()
  }

  /** Ends the path for good; settles when it is fenced. */
  end(reason: string): Promise<void> {
    this.ended = true
    this.fail(reason)
    this.#waits.interrupt()
    this.#wake()
    return this.over
  }

  /** Whether it has failed with what changes data, and that is not fenced yet. */
  get unproven(): boolean {
    return this.state === 'fencing' && this.entry.path !== null && this.#owner.unprovenOf(this).length > 0
  }

  /** What waits for its fence. */
  get held(): HeldStatus | undefined {
    return this.#owner.heldBy(this)
  }

  /** Settles when the first try to connect has ended, one way or the other. */
  get firstTry(): Promise<void> {
    return this.#life.firstTry
  }

  /** Settles when it has ended and is fenced. */
  get over(): Promise<void> {
    return this.#life.over
  }

  /** Of one that is up: why it takes no I/O. */
  get described(): string {
    return this.#owner.describe(this) || this.transition.reason
  }

  /** The same where nothing is wrong with that. */
  get reserve(): string {
    return this.#owner.inReserve(this)
  }

  status(): PathStatus {
    return statusOf(this, this.#troubles, this.#fences, this.#owner.host.clock.now())
  }

  /** Something is wrong with it, or with how it is used. */
  trouble(trouble: PathTrouble): void {
    const now = this.#owner.host.clock.now()
    this.#troubles.add(trouble, now)
    this.vitals.outlived.add(trouble, now)
    this.#owner.slotTroubled(this, trouble)
  }

  /** Its path tells another access state. */
  accessChanged(): void {
    if (this.state !== 'up') return
    this.entry.access = this.transition.judge(this.entry.path as Path)
    this.#owner.slotChanged(this)
  }

  /** Of a failed path nothing is in flight any more: what it leaves without a proof is known, and will not grow. */
  drained(): void {
    if (this.state === 'fencing') this.#life.record.leave(this.#owner.unprovenOf(this))
  }

  /** Another part of its life begins, for `reason`. */
  change(state: PathState, reason: string): void {
    this.state = state
    this.reason = reason
    this.since = this.#owner.host.clock.now()
    this.#owner.slotChanged(this)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }
}
