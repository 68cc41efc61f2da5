import type { Clock, FenceProof, Host, SignalOptions, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { ConnectPace, SharedTry } from '@blockbraid/wire'
import type { Association } from '../association/association.ts'
import type { Place } from '../place/place.ts'
import { answered, openChanges } from './answers.ts'
import { By } from './ladder.ts'
import type { Losses } from './losses.ts'
import { publishFence } from './news.ts'
import type { Siblings } from './siblings.ts'

/** What associations that are shared need of whoever opens them. */
export interface SharedHost extends Host {
  readonly siblings: Siblings
  readonly losses: Losses
  /** One try to connect as `place` says. */
  open(place: Place, options: SignalOptions): Promise<Association>
}

/** Options of {@link SharedAssociation.acquire}. */
export interface AcquireOptions extends SignalOptions {
  /** What another try has failed with a moment ago will do. */
  readonly recent?: boolean
}

// An association that nobody uses is kept for that long, so that discovery and connect share one, milliseconds.
const LINGER = 500
// One that was lost earlier counts as a try that has failed, milliseconds.
const STEADY = 10_000
// A live controller that leaves commands unanswered is given up after that long, milliseconds.
const ANSWERS = 2000
// Where a ping had no answer for so long, none is asked for, milliseconds.
const SILENT = 500

/**
 * One portal of one subsystem for one host identity: its association is shared by the paths of all namespaces. A new one
 * fences nothing: it may be opened while the one before is not proven to have ended.
 */
export class SharedAssociation {
  readonly place: Place
  readonly #host: SharedHost
  readonly #clock: Clock
  readonly #ended: AbortSignal
  readonly #pace: ConnectPace
  readonly #opening = new SharedTry<Association>()
  #live: Association | undefined
  #users = 0
  #linger: Timer | undefined

  /** `ended`: it is closed as soon as nobody uses it. */
  constructor(host: SharedHost, place: Place, ended: AbortSignal) {
    this.place = place
    this.#host = host
    this.#clock = host.clock
    this.#ended = ended
    this.#pace = new ConnectPace(host.clock, host.random)
  }

  /** The live association, or one that is opened now: one try, shared by all who ask meanwhile. `release` it later. */
  async acquire({ signal, recent = false }: AcquireOptions = {}): Promise<Association> {
    this.#linger?.cancel()
    this.#users++
    try {
      if (this.#live?.usable) return this.#live
      const { tooEarly } = this.#pace
      if (recent && tooEarly !== undefined) throw tooEarly
      const both = signal === undefined ? this.#ended : AbortSignal.any([signal, this.#ended])
      return await this.#opening.ask('', both, (stop) => this.#open(stop))
    } catch (error) {
      this.release()
      throw error
    }
  }

  /** Gives what was acquired back; the last one to do so ends it after a moment. */
  release(): void {
    this.#users--
    this.#lingerIfIdle()
  }

  /**
   * Settles when nothing that `owner` has sent through `association` can change data any more: undefined where nothing had
   * to be proven. A live controller is asked to end it, and given up where it leaves it unanswered. Never settles without
   * proof.
   */
  async fenced(association: Association, owner: object): Promise<FenceProof | undefined> {
    const since = association.error === undefined ? this.#clock.now() : association.endedAt
    if (association.error === undefined) {
      if (openChanges(association, owner).length === 0) return undefined
      // One that owes an answer to a ping is not asked to end anything: it would not answer that either.
      const asks = association.silence < SILENT
      if (asks && (await answered(association, owner, this.#clock, ANSWERS))) return this.#answered(association, since)
    }
    if (association.error === undefined) {
      const what = 'the controller does not answer commands that may change data: it is disabled, so that they end'
      association.drop(new BlockError('TIMED_OUT', what))
    }
    if (!association.unfenced.has(owner)) return undefined
    return this.#host.losses.proof(association, since)
  }

  #answered({ controller }: Association, since: number): FenceProof {
    const proof = { by: By.Answered, assumed: false, took: (this.#clock.now() - since) / 1000 }
    publishFence(this.place, controller.id, proof)
    return proof
  }

  /** Ends the association as soon as nobody uses it. */
  async close(): Promise<void> {
    this.#linger?.cancel()
    if (this.#users === 0) await this.#leave()
  }

  async #open(signal: AbortSignal): Promise<Association> {
    const association = await this.#pace.try(() => this.#host.open(this.place, { signal }))
    const since = this.#clock.now()
    if (association.error !== undefined) {
      this.#host.losses.lost(association)
      throw association.error
    }
    this.#live = association
    this.#host.siblings.add(association)
    association.listeners.add({
      lost: (error) => {
        if (this.#clock.now() - since >= STEADY * 1000) this.#pace.succeeded()
        this.#pace.failed(error)
        if (this.#live === association) this.#live = undefined
        this.#host.losses.lost(association)
      },
    })
    // Those who asked for it may have gone meanwhile.
    this.#clock.defer(() => this.#lingerIfIdle())
    return association
  }

  #lingerIfIdle(): void {
    if (this.#users > 0 || this.#live === undefined) return
    this.#linger?.cancel()
    this.#linger = this.#clock.after(this.#ended.aborted ? 0 : LINGER, () => {
      if (this.#users === 0) void this.#leave()
    })
  }

  async #leave(): Promise<void> {
    const live = this.#live
    this.#live = undefined
    if (live === undefined) return
    this.#host.siblings.remove(live)
    await live.close()
  }
}
