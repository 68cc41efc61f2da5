import type { Clock, Timer } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { Io } from '../io.ts'
import { changesData, IoOp } from '../io.ts'
import type { PathSelector } from '../policy.ts'
import type { IoStatus } from '../status.ts'
import { describeStatus, Errno, isPathError, NOT_EXECUTED, OK } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { AttemptList, AttemptPool } from './attempt.ts'
import { latencyBucket } from './latency.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathEntry } from './path-entry.ts'
import type { PathSlot } from './path-slot.ts'
import { Selection } from './selection.ts'

/** Somebody who waits for some Ios. */
interface Barrier {
  readonly waiting: Set<Io>
  readonly resolve: () => void
}

/**
 * The I/O side of a multipath device: picks a path for each I/O, tries again elsewhere, lets I/O wait
 * for a path, for room or for a fence. Everything on the way of an I/O that succeeds is in
 * `submit`, `#dispatch`, `Selection.pick`, `#finish` and `#complete`, and allocates nothing.
 */
export class Engine {
  /** Ios submitted and not done. */
  inflight = 0
  readonly selection: Selection
  #clock: Clock
  #options: ResolvedOptions
  // What the policy picks from, and the slots behind it, at the same places.
  #usable: PathEntry[] = []
  #slots: PathSlot[] = []
  #pool: AttemptPool = new AttemptPool((io, status) => this.#finish(io.owner as Attempt, status))
  #parked = new AttemptList()
  #queued = new AttemptList()
  #holding = new Set<PathSlot>()
  #expired = 0
  #expiry: Timer | undefined
  #expiryAt = 0
  #watch: Timer | undefined
  #closed = false
  #barriers: Barrier[] = []

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, onPolicyFault: (error: Error) => void) {
    this.#clock = clock
    this.#options = options
    this.selection = new Selection(selector, onPolicyFault)
  }

  /** Ios waiting for a usable path or for a fence. */
  get parked(): number {
    let parked = this.#parked.length
    for (const slot of this.#holding) parked += slot.held.length
    return parked
  }

  /** Ios waiting for room on a usable path. */
  get queued(): number {
    return this.#queued.length
  }

  /** The slots that I/O goes to. */
  get usable(): readonly PathSlot[] {
    return this.#slots
  }

  submit(io: Io): void {
    const attempt = this.#pool.take()
    attempt.parent = io
    this.inflight++
    if (this.#queued.head === null) this.#dispatch(attempt)
    else this.#queued.push(attempt)
  }

  #dispatch(attempt: Attempt): void {
    if (this.#usable.length === 0) return this.#park(attempt)
    // A policy that sets off I/O from inside `select`.
    if (this.selection.current !== null) return this.#queued.push(attempt)
    const parent = attempt.parent as Io
    const io = attempt.io
    // Before the policy runs: what it may reach is not what is sent.
    io.op = parent.op
    io.flags = parent.flags
    io.offset = parent.offset
    io.length = parent.length
    io.buffers = parent.buffers
    let entry = this.selection.pick(io)
    if (entry === undefined) {
      // The policy, or a listener of policyFault, has taken the last path out.
      this.#park(attempt)
      return this.#pump()
    }
    if (entry.inflight >= entry.queueDepth) {
      const other = this.#withRoom()
      if (other === undefined) return this.#queued.push(attempt)
      entry = other
    }
    attempt.slot = this.#slots[entry.index] as PathSlot
    attempt.started = this.#clock.now()
    entry.inflight++
    entry.inflightBytes += io.op <= IoOp.Write ? io.length : 0
    if (this.#watch === undefined) this.#startWatch()
    ;(entry.device as BlockDevice).submit(io)
  }

  #withRoom(): PathEntry | undefined {
    const usable = this.#usable
    for (let index = 0; index < usable.length; index++) {
      const entry = usable[index] as PathEntry
      if (entry.inflight < entry.queueDepth) return entry
    }
    return undefined
  }

  #finish(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent
    // Abandoned: its path has been fenced, and another attempt serves the I/O.
    if (parent === null) {
      // An idle one has no slot: a path said its end twice.
      if (attempt.slot !== null) this.#pool.give(attempt)
      return
    }
    const slot = attempt.slot as PathSlot
    const entry = slot.entry
    entry.inflight--
    const bytes = parent.op <= IoOp.Write ? parent.length : 0
    entry.inflightBytes -= bytes
    entry.ios++
    if (status === OK) {
      const elapsed = this.#clock.now() - attempt.started
      entry.latency = entry.latency === 0 ? elapsed : entry.latency + (elapsed - entry.latency) * 0.125
      const bucket = latencyBucket(elapsed | 0)
      entry.histogram[bucket] = (entry.histogram[bucket] as number) + 1
      entry.bytes += bytes
      parent.buffers = attempt.io.buffers
      this.#complete(attempt, OK)
    } else {
      this.#finishFailed(attempt, slot, status)
    }
    if (this.#queued.head !== null) this.#pump()
  }

  #complete(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent as Io
    this.#pool.give(attempt)
    this.inflight--
    parent.done(parent, status)
    if (this.#barriers.length > 0) this.#passBarriers(parent)
  }

  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void> {
    const waiting = new Set<Io>()
    for (const { parent } of this.#pool.all) if (parent !== null) waiting.add(parent)
    if (waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#barriers.push({ waiting, resolve }))
  }

  #passBarriers(parent: Io): void {
    for (const { waiting, resolve } of this.#barriers) {
      if (waiting.delete(parent) && waiting.size === 0) resolve()
    }
    this.#barriers = this.#barriers.filter(({ waiting }) => waiting.size > 0)
  }

  #finishFailed(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    slot.entry.errors++
    if (!isPathError(status)) return this.#complete(attempt, status)
    attempt.slot = null
    const executed = (status & NOT_EXECUTED) === 0
    if (executed) slot.fail(`an I/O ended with ${describeStatus(status)}`)
    else slot.rest()
    slot.entry.retries++
    const first = attempt.deadline === 0
    this.#startDeadline(attempt)
    if (executed && slot.state === 'fencing' && changesData(attempt.io.op) && !this.#closed) {
      slot.held.push(attempt)
      this.#holding.add(slot)
      this.#startExpiry(attempt.deadline)
    } else if (first && !this.#closed) {
      this.#dispatch(attempt)
    } else {
      this.#retry(attempt)
    }
  }

  #retry(attempt: Attempt): void {
    if (this.#closed) this.#complete(attempt, Errno.ESHUTDOWN)
    else if (attempt.deadline <= this.#clock.now()) this.#expire(attempt)
    else this.#dispatch(attempt)
  }

  #pump(): void {
    while (
      this.selection.current === null &&
      this.#queued.head !== null &&
      (this.#usable.length === 0 || this.#withRoom() !== undefined)
    ) {
      this.#dispatch(this.#queued.shift() as Attempt)
    }
  }

  #park(attempt: Attempt): void {
    this.#startDeadline(attempt)
    this.#parked.push(attempt)
    this.#startExpiry(attempt.deadline)
  }

  #startDeadline(attempt: Attempt): void {
    if (attempt.deadline === 0) attempt.deadline = this.#clock.now() + this.#options.noPathTimeout * 1000
  }

  #startExpiry(deadline: number): void {
    if (this.#expiry !== undefined && this.#expiryAt <= deadline) return
    this.#expiry?.cancel()
    this.#expiry = undefined
    if (deadline === Number.POSITIVE_INFINITY) return
    this.#expiryAt = deadline
    const wait = Math.max(0, deadline - this.#clock.now()) / 1000
    this.#expiry = this.#clock.after(Math.ceil(wait), () => {
      this.#expiry = undefined
      const now = this.#clock.now()
      const expire = (attempt: Attempt): void => this.#expire(attempt)
      this.#parked.expire(now, expire)
      for (const slot of this.#holding) slot.held.expire(now, expire)
      let earliest = this.#parked.earliest()
      for (const slot of this.#holding) earliest = Math.min(earliest, slot.held.earliest())
      this.#startExpiry(earliest)
    })
  }

  #expire(attempt: Attempt): void {
    this.#expired++
    this.#complete(attempt, Errno.EIO)
  }

  #startWatch(): void {
    const { ioTimeout } = this.#options
    if (ioTimeout === 0) return
    this.#watch = this.#clock.after(ioTimeout / 4, () => {
      this.#watch = undefined
      const oldest = this.#clock.now() - ioTimeout * 1000
      let waiting = false
      for (const { parent, slot, started } of this.#pool.all) {
        if (parent === null || slot === null) continue
        waiting = true
        if (started <= oldest) slot.fail(`an I/O had no answer for ${ioTimeout} ms`)
      }
      if (waiting && this.#watch === undefined) this.#startWatch()
    })
  }

  /** Changes the paths that I/O goes to; returns how many Ios expired while there was none, where there now is one. */
  setUsable(slots: PathSlot[]): number | undefined {
    const resumed = this.#slots.length === 0 && slots.length > 0
    if (slots.length === 0) this.#expired = 0
    for (const entry of this.#usable) entry.index = -1
    this.#slots = slots
    this.#usable = slots.map((slot) => slot.entry)
    for (const [index, entry] of this.#usable.entries()) entry.index = index
    this.selection.update(this.#usable)
    for (let count = resumed ? this.#parked.length : 0; count > 0; count--) {
      const attempt = this.#parked.shift()
      if (attempt === null) break
      this.#retry(attempt)
    }
    this.#pump()
    // The policy's `update` may have taken the last path out again.
    if (!resumed || this.#slots.length === 0) return undefined
    const expired = this.#expired
    this.#expired = 0
    return expired
  }

  /** Nothing sent through the slot's path can change data any more: what waited for that moves on. */
  fenced(slot: PathSlot): void {
    for (const attempt of [...this.#pool.all]) {
      if (attempt.slot === slot && attempt.parent !== null) this.#replace(attempt, slot)
    }
    this.#holding.delete(slot)
    for (let attempt = slot.held.shift(); attempt !== null; attempt = slot.held.shift()) this.#retry(attempt)
  }

  // The path was closed and still owes a `done`: what it sends late must not reach the I/O.
  #replace(late: Attempt, slot: PathSlot): void {
    const attempt = this.#pool.take()
    attempt.parent = late.parent
    attempt.deadline = late.deadline
    slot.entry.inflight--
    const { op, length } = late.io
    slot.entry.inflightBytes -= op <= IoOp.Write ? length : 0
    late.parent = null
    this.#startDeadline(attempt)
    this.#retry(attempt)
  }

  /** Ends what waits with ESHUTDOWN; what is in flight ends with its path. */
  close(): void {
    this.#closed = true
    this.#expiry?.cancel()
    const lists = [this.#parked, this.#queued, ...Array.from(this.#holding, (slot) => slot.held)]
    for (const list of lists) {
      for (let attempt = list.shift(); attempt !== null; attempt = list.shift()) this.#retry(attempt)
    }
  }

  /** Ends the watch over what is in flight. */
  stopWatch(): void {
    this.#watch?.cancel()
  }
}
