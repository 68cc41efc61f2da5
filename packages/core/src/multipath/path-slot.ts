import { BackOff } from '../back-off.ts'
import { delay } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import { messageOf } from '../errors.ts'
import type { PathHealth, PathState, PathStatus } from '../pair.ts'
import type { IoStatus } from '../status.ts'
import { describeStatus } from '../status.ts'
import type { Path, PathTrouble } from '../target.ts'
import { admit } from './admission.ts'
import type { Connection } from './connect.ts'
import { abandon, connectOnce } from './connect.ts'
import { Exclusion } from './exclusion.ts'
import { describeProof, FenceCounts } from './fences.ts'
import { priorityOf } from './groups/priority.ts'
import { Transition } from './groups/transition.ts'
import { PathEntry } from './path-entry.ts'
import { PathRecord } from './path-record.ts'
import type { PathSource } from './path-source.ts'
import { Pause } from './pause.ts'
import type { SlotOwner } from './slot-owner.ts'
import { statusOf } from './slot-status.ts'
import { kindOfFailure, TroubleCounts } from './troubles.ts'
import { Trust } from './trust.ts'
import { untilFenced } from './until-fenced.ts'

/** A path's life inside a device: connect, serve, fail, fence, wait, connect again. */
export class PathSlot {
  readonly source: PathSource
  readonly entry: PathEntry
  state: PathState = 'connecting'
  reason = ''
  since: number
  everUp = false
  ended = false
  /** Whether its path, which may not be up yet, is there to tell what the storage loses. */
  hears = false
  /** Whether changes may go through it, or could when it was last up. */
  takesChanges = false
  /** Why it takes no I/O though it is up; an empty text where it does. */
  standsBack = ''
  /** By the options. */
  readonly priority: number
  /** Whether its access state is about to change. */
  readonly transition: Transition
  /** Why it goes last though it is up; an empty text where it is well. */
  health: PathHealth | '' = ''
  /** Why it is not well, and what will happen next, for people; an empty text where it is well. */
  ailment = ''
  /** Whether a reservation keeps it out. */
  readonly exclusion: Exclusion
  /** Settles when the first try to connect has ended, one way or the other. */
  readonly firstTry: Promise<void>
  #owner: SlotOwner<PathSlot>
  readonly #resting: Pause
  /** Refuses changes, though its path does not tell that it would. */
  readonly #refusing: Pause
  #disabled = false
  readonly #backOff: BackOff
  // Somebody has asked for it by hand.
  #atOnce = false
  #interrupt = new AbortController()
  #failed: (() => void) | undefined
  #closing: Promise<void> | undefined
  #tried: () => void = () => {}
  #run: Promise<void>
  #waiters: (() => void)[] = []
  #record: PathRecord
  #troubles = new TroubleCounts()
  #fences = new FenceCounts()
  #trust: Trust
  #hung = false
  #keptOut = false

  constructor(source: PathSource, owner: SlotOwner<PathSlot>) {
    this.source = source
    this.#owner = owner
    this.entry = new PathEntry(source, owner.options.weights[source.info.id] ?? 1, owner.host.clock)
    this.since = owner.host.clock.now()
    this.#trust = new Trust(this.entry, owner.options)
    this.#record = new PathRecord(owner.ledger, source.volume ?? source.info.volume)
    const { clock, random } = owner.host
    const changed = (): void => owner.slotChanged(this)
    this.#backOff = new BackOff(owner.options.reconnectDelay, owner.options.reconnectDelayMax, random)
    this.priority = priorityOf(owner.options, source)
    this.transition = new Transition(clock, owner.options.transitionTimeout, () => this.#accessChanged())
    this.exclusion = new Exclusion(clock, changed)
    this.#resting = new Pause(clock, changed)
    this.#refusing = new Pause(clock, changed)
    this.firstTry = new Promise((resolve) => {
      this.#tried = resolve
    })
    this.#run = this.#live()
  }

  /** Whether I/O may be sent through it now. */
  get usable(): boolean {
    return this.takesIo && !this.#resting.isOn
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

  /** As `fail`, where an I/O had no answer. */
  failHung(reason: string, kind: string): void {
    if (this.state === 'up') this.#hung = true
    this.fail(reason, kind)
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
    if (this.state !== 'up') return
    const path = this.entry.path as Path
    this.entry.failures++
    if (kind !== undefined) this.#troubles.count(kind)
    this.#stopRest()
    this.hears = false
    // Before close: its in-flight Ios may come back from inside it, and must find it out of the list.
    this.state = 'fencing'
    try {
      this.#change('fencing', reason)
    } finally {
      this.#closing = path.close()
      this.#failed?.()
    }
  }

  #stopRest(): void {
    this.exclusion.standIn()
    this.#resting.end()
    this.#refusing.end()
    this.transition.stop()
  }

  /** Takes the path out until {@link enable}; settles when it is fenced. */
  async disable(reason: string): Promise<void> {
    this.#disabled = true
    this.fail(reason)
    this.#interrupt.abort()
    while (!this.ended && this.#disabled && this.state !== 'disabled') await this.#nextChange()
    if (this.ended) await this.#run
  }

  /** Lets a path that was taken out connect, and one that waits try at once. */
  enable(): void {
    this.#disabled = false
    this.#backOff.reset()
    this.#atOnce = true
    this.#trust.restore()
    if (this.state === 'disabled' || this.state === 'waiting') this.#interrupt.abort()
  }

  /** Something answers where it was only expected. */
  seen(): void {
    if (this.state === 'waiting' && !this.#keptOut) this.#interrupt.abort()
  }

  /** No path is left: one that is kept out is tried, too. */
  hurry(): void {
    if (this.#keptOut) this.#interrupt.abort()
  }

  /** Ends the path for good; settles when it is fenced. */
  end(reason: string): Promise<void> {
    this.ended = true
    this.fail(reason)
    this.#interrupt.abort()
    this.#wake()
    return this.#run
  }

  /** Whether it has failed with what changes data, and that is not fenced yet. */
  get unproven(): boolean {
    return this.state === 'fencing' && this.entry.path !== null && this.#owner.unprovenOf(this).length > 0
  }

  /** Settles when it has ended and is fenced. */
  get over(): Promise<void> {
    return this.#run
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

  async #live(): Promise<void> {
    // The owner is still being built when the first slot is made.
    await Promise.resolve()
    while (!this.ended) {
      if (this.#disabled) {
        await this.#stayOut()
        continue
      }
      const connection = await this.#connect()
      this.#tried()
      if (connection !== undefined) await this.#serve(connection)
    }
    this.#tried()
  }

  async #stayOut(): Promise<void> {
    const signal = this.#fresh()
    this.#change('disabled', this.reason === '' ? 'taken out by hand' : this.reason)
    if (signal.aborted) return
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  async #connect(): Promise<Connection | undefined> {
    const { host, options } = this.#owner
    const signal = this.#fresh()
    const recent = !this.#atOnce
    this.#atOnce = false
    this.#change('connecting', this.reason)
    try {
      const connection = await connectOnce(this.source, {
        clock: host.clock,
        timeout: options.connectTimeout,
        signal,
        recent,
        opened: this.#opened,
      })
      const limit = Math.min(options.connectTimeout, options.ioTimeout)
      await admit(connection.path, {
        clock: host.clock,
        record: this.#record,
        signal,
        proof: this.#trust.mustProve ? limit : undefined,
        wanted: () => !this.ended && !this.#disabled,
        fault: (path) => this.#owner.accepts(this, path, path.limits),
        forsake: (path) => this.#forsake(path),
        refuse: abandon,
      })
      return connection
    } catch (error) {
      this.hears = false
      this.#tried()
      if (this.ended || this.#disabled) return undefined
      await this.#wait(messageOf(error))
      return undefined
    }
  }

  // A path may wait long for its record until it is up, or may never be up, and tells of a lost cache only once.
  #opened = (path: Path): void => {
    // What comes too late is closed again.
    this.hears = this.state === 'connecting'
    path.events.once('down', () => {
      this.hears = false
    })
    path.events.on('cacheLost', (reason) => this.#owner.slotLostCache(this, reason))
    path.events.on('trouble', (trouble) => this.trouble(trouble))
    this.#owner.slotConnected(this, path.wasReset === true)
  }

  /** Something is wrong with it, or with how it is used. */
  trouble(trouble: PathTrouble): void {
    this.#troubles.add(trouble, this.#owner.host.clock.now())
    this.#owner.slotTroubled(this, trouble)
  }

  #accessChanged(): void {
    if (this.state !== 'up') return
    this.entry.access = this.transition.judge(this.entry.path as Path)
    this.#owner.slotChanged(this)
  }

  // Nothing that changes data was sent through it.
  #forsake(path: Path): void {
    this.hears = false
    abandon(path)
    void this.#record.close(this.#owner.unflushed)
  }

  /** Of a failed path nothing is in flight any more: what it leaves without a proof is known, and will not grow. */
  drained(): void {
    if (this.state === 'fencing') this.#record.leave(this.#owner.unprovenOf(this))
  }

  async #serve({ path, down }: Connection): Promise<void> {
    const { clock } = this.#owner.host
    // Another path may have come up since it was asked.
    const fault = this.#owner.accepts(this, path, path.limits)
    if (fault !== undefined) {
      this.#forsake(path)
      return this.#wait(`path ${this.entry.id} is not used: ${fault}`)
    }
    const upSince = clock.now()
    this.entry.upSince = upSince
    this.#trust.begin()
    this.#hung = false
    const failed = new Promise<void>((resolve) => {
      this.#failed = resolve
    })
    const onAccess = (): void => this.#accessChanged()
    const onLimits = (limits: DeviceLimits): void => {
      const fault = this.#owner.accepts(this, path, limits)
      if (fault !== undefined) return this.fail(fault)
      this.entry.queueDepth = limits.queueDepth
      this.takesChanges = !limits.readOnly
      // What it tells now counts.
      this.#refusing.end()
      this.#owner.slotChanged(this)
    }
    const onDown = (error: Error): void => this.fail(error.message, kindOfFailure(error))
    path.events.on('access', onAccess)
    path.events.on('limits', onLimits)
    path.events.on('down', onDown)
    this.entry.path = path
    this.entry.access = this.transition.judge(path)
    this.entry.queueDepth = path.limits.queueDepth
    this.takesChanges = !path.limits.readOnly
    this.exclusion.forget()
    this.everUp = true
    this.#change('up', '')
    // Asked for between the connect and this moment.
    if (down !== undefined) onDown(down)
    if (this.ended || this.#disabled) this.fail('taken out by hand')
    await failed
    const failedAt = clock.now()
    if (this.entry.inflight === 0) this.drained()
    await untilFenced(path, this.#closing as Promise<void>, {
      // Not fenced: its writes may not move, and it may not be connected again.
      failed: (error) => this.#change('fencing', `the fence failed: ${messageOf(error)}`),
      // After a close nobody is left who would ask again; the device stays unfenced.
      goesOn: () => !this.ended,
      pause: () => delay(clock, this.#nextWait()),
    })
    path.events.off('access', onAccess)
    path.events.off('limits', onLimits)
    path.events.off('down', onDown)
    this.entry.path = null
    this.entry.device = null
    const proof = path.fencedBy
    if (proof !== undefined) {
      this.#fences.add(proof)
      this.reason = `${this.reason}; ${describeProof(proof)}`
    }
    this.#owner.slotFenced(this, proof)
    const forgotten = this.#record.close(this.#owner.unflushed)
    // A path that does not stay up for long, or answers nothing, is asked less and less often.
    if (this.#trust.end((failedAt - upSince) / 1000, this.#hung)) this.#backOff.reset()
    if (this.ended || this.#disabled) return forgotten
    const { reason } = this
    await this.#keepOut(reason)
    if (this.ended || this.#disabled) return forgotten
    await this.#wait(reason)
  }

  async #wait(reason: string): Promise<void> {
    const signal = this.#fresh()
    this.#change('waiting', reason)
    await delay(this.#owner.host.clock, this.#nextWait(), signal)
  }

  async #keepOut(reason: string): Promise<void> {
    const { host, hasUsable } = this.#owner
    const keepOut = this.#trust.keepOut * (0.8 + host.random() / 5)
    if (keepOut === 0 || !hasUsable) return
    const signal = this.#fresh()
    this.#keptOut = true
    const seconds = Math.round(keepOut / 1000)
    this.#change('waiting', `${reason}; as it was not the first time, the path is left alone for ${seconds} s`)
    await delay(host.clock, keepOut, signal)
    this.#keptOut = false
  }

  #nextWait(): number {
    const wait = this.#backOff.wait()
    this.#backOff.count()
    return wait
  }

  #fresh(): AbortSignal {
    this.#interrupt = new AbortController()
    // What was asked for meanwhile must not be slept through.
    if (this.ended) this.#interrupt.abort()
    return this.#interrupt.signal
  }

  #change(state: PathState, reason: string): void {
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
