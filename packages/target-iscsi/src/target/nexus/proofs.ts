import type { Clock, SignalOptions } from '@blockbraid/core'
import { abortable, BlockError, delay } from '@blockbraid/core'
import type { Lun } from '../../scsi/lun.ts'
import type { Session } from '../../session/session.ts'
import type { NexusPlace } from '../place/fence-token.ts'
import type { Portal } from '../place/portal.ts'
import type { MissedNews } from './missed.ts'

/** Options of a login. */
export interface OpenOptions extends SignalOptions {
  /** What another try has failed with a moment ago will do. */
  readonly recent?: boolean
}

/** A session that has ended, of this process or of one before, and may have left commands that change data. */
export interface Lost {
  /** Its target portal group tag; undefined where the target did not tell it. */
  readonly group: number | undefined
}

/** What proofs need of whoever logs in. */
export interface ProofSource {
  readonly clock: Clock
  readonly random: () => number
  /** One try to log in as `place` says. */
  open(place: NexusPlace, options: OpenOptions): Promise<Session>
  /** Resolves when a logical unit has worked off all that was sent to it before; rejects where it does not say so. */
  workedOff(session: Session, lun: Lun, options: SignalOptions): Promise<void>
  /** Other portals of the target that may lead to the portal group of a `lost` session, and work now. */
  siblings(place: NexusPlace, lost: readonly Lost[]): readonly Portal[]
}

/** The nexus whose lost sessions are to be proven to have ended. */
export interface ProofNexus {
  readonly place: NexusPlace
  readonly missed: MissedNews
  /** The session that can be used now. */
  live(): Session | undefined
  /** Runs `work` when no login under this id is under way. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result>
  /** Logs in where there is no session; only inside of `exclusive`. */
  login(options: OpenOptions): Promise<Session>
}

/** Whose commands are not known to have ended. */
interface Unproven {
  readonly lost: Lost
  readonly lun: Lun
  readonly resolve: () => void
  /** A try has failed; left out: it is tried until there is a proof. */
  readonly reject?: (error: unknown) => void
}

const PROVE_DELAY = 100
const PROVE_DELAY_MAX = 5000
// A logical unit that does not say so within that time is asked in a new session: first where nothing else is answered
// either, and where the others, whose session it is too, have to log in again for it; then after twice that each time.
const MUTE = 10_000
const ALONE = 60_000
const MOST_DOUBLINGS = 6

/** Proves of sessions that were lost under one initiator session id that nothing of them can change data any more. */
export class Proofs {
  /** Why the last try has failed, of those since a proof was needed. */
  failure: Error | undefined
  readonly #host: ProofSource
  readonly #nexus: ProofNexus
  readonly #ended: AbortSignal
  readonly #losses = new WeakMap<Session, Lost>()
  readonly #replaced = new WeakSet<Lost>()
  #unproven: Unproven[] = []
  #proving = false
  // Through another portal of the group, as long as something is worked off there.
  #aside: Session | undefined
  // By name of the logical unit, the session that has been asked whether it has worked off all: one question at a time.
  readonly #asked = new Map<string, Session>()
  // How often a session was given up for a logical unit since it was worked off last.
  readonly #givenUp = new Map<string, number>()
  // Lost with commands that may have changed data, and not replaced: whoever asks for a fence may do so later.
  readonly #lost = new Set<Lost>()

  /** `ended`: no proof is looked for any more. */
  constructor(host: ProofSource, nexus: ProofNexus, ended: AbortSignal) {
    this.#host = host
    this.#nexus = nexus
    this.#ended = ended
  }

  /**
   * Settles when nothing that `owner` has sent to `lun` through `session` can change data any more: at once where
   * nothing was open when the session was lost, else after a login that took its place, and after the logical unit
   * has worked off what it had begun. Never settles without proof.
   */
  fenced(session: Session, owner: object, lun: Lun): Promise<void> {
    if (!session.unfenced.has(owner)) return Promise.resolve()
    return new Promise((resolve) => this.#add({ lost: this.#lossOf(session), lun, resolve }))
  }

  /**
   * One try at the same proof for what a process that has ended has sent to `lun` under this id. Rejects as a login
   * does, or with CONNECT_FAILED where the login led to another portal group, or the logical unit did not answer.
   */
  async prove(lost: Lost, lun: Lun, { signal }: SignalOptions = {}): Promise<void> {
    let added: Unproven | undefined
    try {
      await abortable(
        new Promise<void>((resolve, reject) => {
          added = { lost, lun, resolve, reject }
          this.#add(added)
        }),
        signal,
      )
    } finally {
      this.#unproven = this.#unproven.filter((one) => one !== added)
    }
  }

  /** A login has succeeded. */
  opened(session: Session): void {
    // This login has ended it, though it may not be known yet.
    this.#aside?.drop(new BlockError('CONNECT_FAILED', 'another session takes its place'))
    this.#takesPlace(session, false)
  }

  /** The session of the nexus was lost. */
  lost(session: Session): void {
    if (session.unfenced.size > 0) this.#lost.add(this.#lossOf(session))
  }

  #add(one: Unproven): void {
    this.#unproven.push(one)
    this.#useSession()
    if (!this.#proving) void this.#prove()
  }

  /** Whoever has lost a session under this id has lost it before the one that lives now was opened. */
  #useSession(): void {
    const own = this.#nexus.live()
    const session = own ?? this.#aside
    if (session === undefined) return
    this.#takesPlace(session, own === undefined)
    this.#workOff(session)
  }

  async #prove(): Promise<void> {
    this.#proving = true
    this.failure = undefined
    const { clock, random } = this.#host
    const signal = this.#ended
    for (let wait = PROVE_DELAY; !signal.aborted; ) {
      const stands = await this.#nexus.exclusive(() => this.#tryToProve())
      if (stands && this.#unproven.length === 0) break
      await delay(clock, wait * (0.5 + random() / 2), signal)
      // Not before: whoever gave up after one try, and tries again soon, must not hurry the target.
      if (this.#unproven.length === 0) break
      wait = stands ? PROVE_DELAY : Math.min(wait * 2, PROVE_DELAY_MAX)
    }
    this.#proving = false
  }

  /** Whether each session that was lost is known to have ended at the target. */
  get #allReplaced(): boolean {
    return this.#unproven.every(({ lost }) => this.#replaced.has(lost))
  }

  /** Sees to it that a session has taken the place of the lost ones, and resolves to whether one has. */
  async #tryToProve(): Promise<boolean> {
    const signal = this.#ended
    this.#useSession()
    const own = this.#nexus.live()
    if (own !== undefined) return this.#refuseOthers(own)
    if (this.#allReplaced && this.#aside !== undefined) return true
    // A portal of the same group that works, where there is one, and then its own.
    const lost = this.#unproven.map((one) => one.lost)
    for (const portal of this.#host.siblings(this.#nexus.place, lost)) {
      if (this.#aside !== undefined || this.#unproven.length === 0 || signal.aborted) break
      try {
        this.#stepAside(await this.#host.open({ ...this.#nexus.place, portal }, { signal, recent: true }))
      } catch {
        // Another one may do.
      }
    }
    if (this.#unproven.length === 0 || (this.#allReplaced && this.#aside !== undefined)) return true
    try {
      const session = await this.#nexus.login({ signal, recent: true })
      this.#useSession()
      return this.#refuseOthers(session)
    } catch (error) {
      this.#failed(error, ({ lost: one }) => !this.#replaced.has(one))
      return false
    }
  }

  #refuseOthers(session: Session): boolean {
    const { portal, targetName } = this.#nexus.place
    const now = session.negotiated.targetPortalGroupTag
    const text = `${portal.address} leads to group ${now} of ${targetName} now, and not to that of the lost session`
    this.#failed(new BlockError('CONNECT_FAILED', text), ({ lost }) => !this.#replaced.has(lost))
    return this.#allReplaced
  }

  #stepAside(session: Session): void {
    this.#aside = session
    this.#nexus.missed.begin()
    session.listeners.add({
      lost: () => {
        if (this.#aside === session) this.#aside = undefined
      },
      event: (high, low, sense) => this.#nexus.missed.hear({ high, low }, sense),
    })
    this.#useSession()
    this.#leaveAside()
  }

  /** Ends the session through another portal once nothing is worked off there. */
  #leaveAside(): void {
    const session = this.#aside
    if (session === undefined || [...this.#asked.values()].includes(session)) return
    this.#aside = undefined
    void session.logout()
  }

  #lossOf(session: Session): Lost {
    const known = this.#losses.get(session)
    if (known !== undefined) return known
    const lost = { group: session.negotiated.targetPortalGroupTag }
    this.#losses.set(session, lost)
    return lost
  }

  /** A login has ended every session before it under this id in the same portal group. */
  #takesPlace({ negotiated: { targetPortalGroupTag: now } }: Session, strict: boolean): void {
    for (const lost of new Set([...this.#lost, ...this.#unproven.map((one) => one.lost)])) {
      // Without tags only the portal itself is known to lead to the same group.
      if (lost.group === undefined || now === undefined ? !strict : lost.group === now) {
        this.#replaced.add(lost)
        this.#lost.delete(lost)
      }
    }
  }

  /**
   * Not every target ends, at a login, what its storage is executing by then: tgt does not. An ordered command waits
   * for all that was there before it (SAM-5 §8.6.3). Each logical unit is asked by itself, and takes its time.
   */
  #workOff(session: Session): void {
    const luns = new Map<string, Lun>()
    for (const { lost, lun } of this.#unproven) {
      if (this.#replaced.has(lost) && this.#asked.get(lun.name) !== session) luns.set(lun.name, lun)
    }
    for (const lun of luns.values()) void this.#askUnit(session, lun)
  }

  async #askUnit(session: Session, lun: Lun): Promise<void> {
    const concerns = (one: Unproven): boolean => one.lun.name === lun.name && this.#replaced.has(one.lost)
    this.#asked.set(lun.name, session)
    const limit = this.#giveUpLater(session, lun)
    try {
      await this.#host.workedOff(session, lun, { signal: this.#ended })
      this.#givenUp.delete(lun.name)
      const proven = this.#unproven.filter(concerns)
      this.#unproven = this.#unproven.filter((one) => !proven.includes(one))
      for (const one of proven) one.resolve()
    } catch (error) {
      // A newer session has been asked meanwhile, and says more.
      if (this.#asked.get(lun.name) === session) this.#failed(error, concerns)
    } finally {
      limit.abort()
      if (this.#asked.get(lun.name) === session) this.#asked.delete(lun.name)
      if (this.#aside === session) this.#leaveAside()
    }
  }

  /** Ends a session that answers pings, but not this question: the login that takes its place is followed by another. */
  #giveUpLater(session: Session, lun: Lun): AbortController {
    const over = new AbortController()
    const { answers } = session
    const times = this.#givenUp.get(lun.name) ?? 0
    const factor = 2 ** Math.min(times, MOST_DOUBLINGS)
    const giveUp = async (): Promise<void> => {
      await delay(this.#host.clock, MUTE * factor, over.signal)
      if (session.answers !== answers) await delay(this.#host.clock, (ALONE - MUTE) * factor, over.signal)
      if (over.signal.aborted) return
      this.#givenUp.set(lun.name, times + 1)
      const what = `LUN ${lun.name} does not say that it has worked off what was sent to it`
      session.drop(new BlockError('TIMED_OUT', `${what}: a new session takes the place of this one, to ask again`))
    }
    void giveUp()
    return over
  }

  /** Ends those that wait for one try only. */
  #failed(error: unknown, which: (one: Unproven) => boolean): void {
    if (error instanceof Error && this.#unproven.some(which)) this.failure = error
    const over = this.#unproven.filter((one) => one.reject !== undefined && which(one))
    this.#unproven = this.#unproven.filter((one) => !over.includes(one))
    for (const { reject } of over) reject?.(error)
  }
}
