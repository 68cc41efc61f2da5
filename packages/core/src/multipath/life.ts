import { delay } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { PathState } from '../pair.ts'
import type { Path, PathTrouble } from '../target.ts'
import { admit } from './admission.ts'
import type { Connection } from './connect.ts'
import { abandon, connectOnce } from './connect.ts'
import type { Exclusion } from './exclusion.ts'
import type { FenceCounts } from './fences.ts'
import { describeProof } from './fences.ts'
import type { Transition } from './groups/transition.ts'
import type { Ended } from './health/trust.ts'
import type { Vitals } from './health/vitals.ts'
import { TAKEN_OUT } from './journal/by-hand.ts'
import type { PathEntry } from './path-entry.ts'
import { PathRecord } from './path-record.ts'
import type { PathSource } from './path-source.ts'
import type { Pause } from './pause.ts'
import type { SlotOwner } from './slot-owner.ts'
import { kindOfFailure } from './troubles.ts'
import { untilFenced } from './until-fenced.ts'
import type { Waits } from './waits.ts'

/** What a life changes of its slot, and asks of it. */
export interface Living {
  readonly source: PathSource
  readonly entry: PathEntry
  readonly exclusion: Exclusion
  readonly transition: Transition
  readonly vitals: Vitals
  readonly state: PathState
  readonly ended: boolean
  readonly disabled: boolean
  reason: string
  everUp: boolean
  hears: boolean
  takesChanges: boolean
  fail(reason: string, kind?: string): void
  drained(): void
  accessChanged(): void
  trouble(trouble: PathTrouble): void
  change(state: PathState, reason: string): void
}

/** What a slot shares with its life. */
export interface LifeParts {
  readonly waits: Waits
  readonly fences: FenceCounts
  readonly refusing: Pause
}

/** A path's life, from one connect to the next, until its slot has ended. */
export class Life<Slot extends Living> {
  /** Settles when the first try to connect has ended, one way or the other. */
  readonly firstTry: Promise<void>
  /** Settles when it has ended and is fenced. */
  readonly over: Promise<void>
  readonly record: PathRecord
  readonly #slot: Slot
  readonly #owner: SlotOwner<Slot>
  readonly #parts: LifeParts
  #tried: () => void = () => {}
  #failed: (() => void) | undefined
  #closing: Promise<void> | undefined
  #hung = 0
  /** Whether the last try to connect had no answer. */
  #silent = false

  constructor(slot: Slot, owner: SlotOwner<Slot>, parts: LifeParts) {
    this.#slot = slot
    this.#owner = owner
    this.#parts = parts
    this.record = new PathRecord(owner.ledger, slot.source.volume ?? slot.source.info.volume)
    this.firstTry = new Promise((resolve) => {
      this.#tried = resolve
    })
    this.over = this.#live()
  }

  /** Its path has failed, and is being closed; `hung`: as {@link Ended.hung}. */
  lost(closing: Promise<void>, hung: number): void {
    this.#closing = closing
    this.#hung = hung
    this.#failed?.()
  }

  get #unwanted(): boolean {
    return this.#slot.ended || this.#slot.disabled
  }

  async #live(): Promise<void> {
    // The owner is still being built when the first slot is made.
    await Promise.resolve()
    while (!this.#slot.ended) {
      if (this.#slot.disabled) {
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
    const { reason } = this.#slot
    const signal = this.#parts.waits.begin()
    this.#slot.change('disabled', reason === '' ? TAKEN_OUT : reason)
    if (signal.aborted) return
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  async #connect(): Promise<Connection | undefined> {
    const { host, options, connects } = this.#owner
    const { waits } = this.#parts
    const slot = this.#slot
    const { trust, limit } = slot.vitals
    const signal = waits.begin()
    const recent = waits.takeRecent()
    slot.change('connecting', slot.reason)
    try {
      const connection = await connectOnce(slot.source, {
        clock: host.clock,
        turns: connects,
        silent: this.#silent,
        timeout: options.connectTimeout,
        signal,
        recent,
        opened: this.#opened,
      })
      this.#silent = false
      await admit(connection.path, {
        clock: host.clock,
        record: this.record,
        signal,
        proof: trust.mustProve ? limit : undefined,
        borneOut: (during) => this.#owner.borneOut(during),
        wanted: () => !this.#unwanted,
        fault: (path) => this.#owner.accepts(slot, path, path.limits),
        forsake: (path) => this.#forsake(path),
        refuse: abandon,
      })
      return connection
    } catch (error) {
      slot.hears = false
      this.#silent = BlockError.is(error) && error.code === 'TIMED_OUT'
      this.#tried()
      if (this.#unwanted) return undefined
      await this.#wait(messageOf(error))
      return undefined
    }
  }

  // A path may wait long for its record until it is up, or may never be up, and tells of a lost cache only once.
  #opened = (path: Path, late: boolean): void => {
    const slot = this.#slot
    // What comes too late is closed again; the slot may be up by another one, or not yet.
    if (!late) {
      slot.hears = slot.state === 'connecting'
      path.events.once('down', () => {
        slot.hears = false
      })
    }
    path.events.on('cacheLost', (reason) => this.#owner.slotLostCache(slot, reason))
    path.events.on('trouble', (trouble) => slot.trouble(trouble))
    this.#owner.slotConnected(slot, path.wasReset === true)
  }

  // Nothing that changes data was sent through it.
  #forsake(path: Path): void {
    this.#slot.hears = false
    abandon(path)
    void this.record.close(this.#owner.unflushed)
  }

  async #serve(connection: Connection): Promise<void> {
    const { path } = connection
    const { clock } = this.#owner.host
    const slot = this.#slot
    // Another path may have come up since it was asked.
    const fault = this.#owner.accepts(slot, path, path.limits)
    if (fault !== undefined) {
      this.#forsake(path)
      return this.#wait(`path ${slot.entry.id} is not used: ${fault}`)
    }
    const upSince = clock.now()
    slot.entry.upSince = upSince
    const failed = new Promise<void>((resolve) => {
      this.#failed = resolve
    })
    const stop = this.#goUp(connection)
    await failed
    const failedAt = clock.now()
    if (slot.entry.inflight === 0) slot.drained()
    await untilFenced(path, this.#closing as Promise<void>, {
      // Not fenced: its writes may not move, and it may not be connected again.
      failed: (error) => slot.change('fencing', `the fence failed: ${messageOf(error)}`),
      // After a close nobody is left who would ask again; the device stays unfenced.
      goesOn: () => !slot.ended,
      pause: () => this.#parts.waits.next(),
    })
    stop()
    await this.#afterFence(path, { up: (failedAt - upSince) / 1000, at: failedAt })
  }

  /** Lets it serve; returns what ends the listening. */
  #goUp({ path, down }: Connection): () => void {
    const slot = this.#slot
    const { entry } = slot
    const onAccess = (): void => slot.accessChanged()
    const onLimits = (limits: DeviceLimits): void => {
      const fault = this.#owner.accepts(slot, path, limits)
      if (fault !== undefined) return slot.fail(fault)
      entry.queueDepth = limits.queueDepth
      slot.takesChanges = !limits.readOnly
      // What it tells now counts.
      this.#parts.refusing.end()
      this.#owner.slotChanged(slot)
    }
    const onDown = (error: Error): void => slot.fail(error.message, kindOfFailure(error))
    path.events.on('access', onAccess)
    path.events.on('limits', onLimits)
    path.events.on('down', onDown)
    entry.path = path
    entry.access = slot.transition.judge(path)
    entry.queueDepth = path.limits.queueDepth
    slot.takesChanges = !path.limits.readOnly
    slot.exclusion.forget()
    slot.everUp = true
    slot.change('up', '')
    if (slot.state === 'up') slot.vitals.begin(path)
    // Asked for between the connect and this moment.
    if (down !== undefined) onDown(down)
    if (this.#unwanted) slot.fail(TAKEN_OUT)
    return () => {
      path.events.off('access', onAccess)
      path.events.off('limits', onLimits)
      path.events.off('down', onDown)
    }
  }

  async #afterFence(path: Path, { up, at }: Pick<Ended, 'up' | 'at'>): Promise<void> {
    const slot = this.#slot
    const { fences, waits } = this.#parts
    slot.entry.path = null
    slot.entry.device = null
    const proof = path.fencedBy
    if (proof !== undefined) {
      fences.add(proof)
      slot.reason = `${slot.reason}; ${describeProof(proof)}`
    }
    this.#owner.slotFenced(slot, proof)
    const forgotten = this.record.close(this.#owner.unflushed)
    // A path that does not stay up for long, or answers nothing, is asked less and less often.
    if (slot.vitals.end({ up, at, hung: this.#hung, byHand: this.#unwanted })) waits.reset()
    if (this.#unwanted) return forgotten
    const { reason } = slot
    await this.#keepOut(reason)
    if (this.#unwanted) return forgotten
    await this.#wait(reason)
  }

  async #wait(reason: string): Promise<void> {
    const signal = this.#parts.waits.begin()
    this.#slot.change('waiting', reason)
    await this.#parts.waits.next(signal)
  }

  async #keepOut(reason: string): Promise<void> {
    const { host, hasUsable } = this.#owner
    const { waits } = this.#parts
    const keepOut = this.#slot.vitals.trust.keepOut * (0.8 + host.random() / 5)
    if (keepOut === 0 || !hasUsable) return
    const signal = waits.begin(true)
    const seconds = Math.round(keepOut / 1000)
    this.#slot.change('waiting', `${reason}; as it was not the first time, the path is left alone for ${seconds} s`)
    await delay(host.clock, keepOut, signal)
  }
}
