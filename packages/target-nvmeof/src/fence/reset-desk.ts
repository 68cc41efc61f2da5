import type { Clock, Timer } from '@blockbraid/core'
import type { Association, AssociationListener } from '../association/association.ts'
import type { ControllerInstance } from '../nvme/admin.ts'
import { readResets, resetOther } from './reset-command.ts'
import { Slots } from './slots.ts'

/** What came of a cross-controller reset. Only `done` proves anything. */
export type ResetOutcome = 'done' | 'refused' | 'later'

// An event may be lost: the log is read without one, at growing intervals, milliseconds.
const FIRST_LOOK = 20
const LONGEST_PAUSE = 500
// A reset that takes longer is not waited for alone, milliseconds.
const PATIENCE = 10_000

/**
 * Cross-controller resets that one association is asked for: at most as many at once as its controller can (CCRL). Their
 * end is told by its log, which is read at its event and now and then without one.
 */
export class ResetDesk {
  readonly #clock: Clock
  readonly #association: Association
  readonly #slots: Slots
  /** Who waits for the end of a reset, and whether that was well. */
  readonly #waiting = new Map<string, (well: boolean) => void>()
  /** Random numbers of what was asked for and not seen to end: the log does not tell them. */
  readonly #open = new Map<string, string>()
  /** The same of what was seen to end well. */
  readonly #done = new Map<string, string>()
  #current: Promise<boolean> | undefined
  #queued: Promise<boolean> | undefined
  #look: Timer | undefined
  #pause = FIRST_LOOK
  readonly #listener: AssociationListener = {
    lost: () => {
      for (const end of this.#waiting.values()) end(false)
    },
    crossReset: () => void this.#read(),
  }

  constructor(clock: Clock, association: Association) {
    this.#clock = clock
    this.#association = association
    this.#slots = new Slots(association.controller.crossResets)
  }

  /** One try to reset another controller. */
  async reset(which: ControllerInstance, signal: AbortSignal): Promise<ResetOutcome> {
    const key = keyOf(which)
    const isOther = (this.#open.get(key) ?? which.instanceRandom) !== which.instanceRandom
    if (this.#waiting.has(key) || isOther || signal.aborted) return 'later'
    let end = (_well: boolean): void => {}
    const ended = new Promise<boolean>((resolve) => (end = resolve))
    const giveUp = (): void => end(false)
    this.#waiting.set(key, end)
    signal.addEventListener('abort', giveUp)
    if (this.#waiting.size === 1) this.#association.listeners.add(this.#listener)
    try {
      if (!(await this.#slots.take(ended))) return 'later'
      try {
        return await this.#reset(which, ended, signal)
      } finally {
        this.#slots.leave()
      }
    } catch {
      return 'later'
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#waiting.delete(key)
      if (this.#waiting.size === 0) this.#rest()
    }
  }

  async #reset(which: ControllerInstance, ended: Promise<boolean>, signal: AbortSignal): Promise<ResetOutcome> {
    const key = keyOf(which)
    // What has ended before must not be taken for this one, and the log needs room.
    if (!(await this.#read()) || signal.aborted) return 'later'
    // An earlier try was given up before its end was told.
    if (this.#done.get(key) === which.instanceRandom) return 'done'
    const before = this.#open.has(key)
    this.#open.set(key, which.instanceRandom)
    const answer = await this.#association.run(resetOther(which), { signal })
    // One that was asked for before, and is still under way.
    const goesOn = answer === 'begun' || (answer === 'busy' && before)
    if (!goesOn) {
      if (!before) this.#open.delete(key)
      return answer === 'done' || answer === 'refused' ? answer : 'later'
    }
    this.#pause = FIRST_LOOK
    this.#lookLater()
    const patience = this.#clock.after(PATIENCE, () => this.#waiting.get(key)?.(false))
    const well = await ended
    patience.cancel()
    return well ? 'done' : 'later'
  }

  #rest(): void {
    this.#look?.cancel()
    this.#association.listeners.delete(this.#listener)
  }

  #lookLater(): void {
    this.#look?.cancel()
    this.#look = this.#clock.after(this.#pause, () => {
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
      void this.#read()
      if (this.#waiting.size > 0) this.#lookLater()
    })
  }

  /** Reads the log, and once more where that is asked for meanwhile; resolves to whether it could be read. */
  #read(): Promise<boolean> {
    this.#queued ??= Promise.resolve(this.#current).then(() => {
      this.#queued = undefined
      this.#current = this.#readNow()
      return this.#current
    })
    return this.#queued
  }

  async #readNow(): Promise<boolean> {
    if (!this.#association.usable) return false
    const log = await this.#association.run(readResets()).catch(() => undefined)
    for (const { id, instance, state } of log ?? []) {
      const key = keyOf({ id, instance })
      const random = this.#open.get(key)
      if (state === 'running' || random === undefined) continue
      this.#open.delete(key)
      if (state === 'done') this.#done.set(key, random)
      this.#waiting.get(key)?.(state === 'done')
    }
    return log !== undefined
  }
}

function keyOf({ id, instance }: Pick<ControllerInstance, 'id' | 'instance'>): string {
  return `${id} ${instance}`
}
