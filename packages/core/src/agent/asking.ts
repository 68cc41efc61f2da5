import type { Clock } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { DiscoveryNote, PathInfo, Target } from '../target.ts'

// A target that hangs is given up in the end, milliseconds. Longer than one portal of it may take to be given up.
const DISCOVER_TIMEOUT = 30_000

/** A note of a target, and since when it says so. */
export interface Noted extends DiscoveryNote {
  /** `clock.now()`, µs. */
  readonly since: number
}

/** Why a target has not answered. */
export interface Failure {
  readonly error: Error
  /** `clock.now()` when it began, µs. */
  readonly since: number
}

/**
 * One target, asked one question at a time: an answer is always newer than the one before. What it offered stays as long
 * as it does not answer.
 */
export class Asking {
  readonly target: Target
  /** As it answered last. */
  offered: readonly PathInfo[] = []
  notes: readonly Noted[] = []
  /** Undefined where it answered when it was asked last. */
  failure: Failure | undefined
  /** `clock.now()` when it was last told how a question has ended. */
  heardAt = Number.NEGATIVE_INFINITY
  #clock: Clock
  #stop: AbortSignal
  #heard: () => void
  #current: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** `heard` is called when a question has ended, one way or the other; not after `stop` fired. */
  constructor(target: Target, clock: Clock, stop: AbortSignal, heard: () => void) {
    this.target = target
    this.#clock = clock
    this.#stop = stop
    this.#heard = heard
  }

  /** Whether it is being asked. */
  get busy(): boolean {
    return this.#current !== undefined
  }

  /** Whether something of it is not there that should be. */
  get isMissing(): boolean {
    return this.failure !== undefined || this.notes.some(({ missing }) => missing)
  }

  /** Settles with a question that begins now, or as soon as the present one has ended; never rejects. */
  ask(): Promise<void> {
    if (this.#current === undefined) return this.#begin(false)
    this.#next ??= this.#current.then(() => {
      this.#next = undefined
      return this.#begin(false)
    })
    return this.#next
  }

  /** Looks for what is missing, where it is not being asked already. */
  askAgain(): void {
    if (!this.busy) void this.#begin(true)
  }

  /** Of one that is asked and has not answered yet, says so. */
  overdue(): void {
    if (!this.busy || this.failure !== undefined) return
    this.#fail(new BlockError('TIMED_OUT', 'it has not answered yet; what it offers is used when it does'))
  }

  #begin(again: boolean): Promise<void> {
    if (this.#stop.aborted) return Promise.resolve()
    const notes: DiscoveryNote[] = []
    const note = (one: DiscoveryNote): void => void notes.push(one)
    this.#current = question(this.target, { note, again }, this.#clock, this.#stop).then(
      (offered) => this.#end(() => this.#take(offered, notes)),
      (error: unknown) => this.#end(() => this.#fail(error instanceof Error ? error : new Error(String(error)))),
    )
    return this.#current
  }

  #end(change: () => void): void {
    this.#current = undefined
    if (this.#stop.aborted) return
    this.heardAt = this.#clock.now()
    change()
    this.#heard()
  }

  #take(offered: readonly PathInfo[], notes: readonly DiscoveryNote[]): void {
    const now = this.#clock.now()
    const before = this.notes
    const sinceOf = ({ place, missing }: DiscoveryNote): number =>
      before.find((one) => one.place === place && one.missing === missing)?.since ?? now
    this.offered = offered
    this.notes = notes.map((one) => ({ ...one, since: sinceOf(one) }))
    this.failure = undefined
  }

  #fail(error: Error): void {
    this.failure = { error, since: this.failure?.since ?? this.#clock.now() }
  }
}

async function question(
  target: Target,
  { note, again }: { note: (one: DiscoveryNote) => void; again: boolean },
  clock: Clock,
  stop: AbortSignal,
): Promise<readonly PathInfo[]> {
  const over = new AbortController()
  const both = AbortSignal.any([stop, over.signal])
  const timedOut = delay(clock, DISCOVER_TIMEOUT, both).then(() => {
    throw new BlockError('TIMED_OUT', `${target.name} did not answer within ${DISCOVER_TIMEOUT} ms`)
  })
  // What comes after that is of a question that is over.
  const noteInTime = (one: DiscoveryNote): void => {
    if (!over.signal.aborted) note(one)
  }
  try {
    return await orAborted(Promise.race([target.discover({ signal: both, note: noteInTime, again }), timedOut]), stop)
  } finally {
    over.abort()
    timedOut.catch(() => {})
  }
}
