import type { SignalOptions, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { ConnectPace } from '@blockbraid/wire'
import type { Lun } from '../../scsi/lun.ts'
import type { Session } from '../../session/session.ts'
import type { NexusPlace } from '../place/fence-token.ts'
import { MissedNews } from './missed.ts'
import type { Lost, OpenOptions, ProofSource } from './proofs.ts'
import { Proofs } from './proofs.ts'
import { Rival } from './rival.ts'

/** A login that is under way, and how many wait for it. */
interface Opening {
  readonly session: Promise<Session>
  readonly stop: AbortController
  waiting: number
}

// A session that nobody uses is kept for that long, so that discovery and connect share one, milliseconds.
const LINGER = 500
// A session that was lost earlier counts as a login that has failed, milliseconds.
const STEADY = 10_000

/**
 * The initiator's end of one I_T nexus (RFC 7143 §4.1): one initiator session id, under which there is at most
 * one session at a time. A login under it ends every session before it at the target (§6.3.5): that is the fence.
 */
export class Nexus {
  readonly place: NexusPlace
  /** The session that lives now. */
  session: Session | undefined
  /** What no path has heard. */
  readonly missed = new MissedNews()
  readonly #host: ProofSource
  readonly #rival: Rival
  #users = 0
  #linger: Timer | undefined
  // Logins under one id must not overlap: a late one would end the session of an earlier one.
  #turn: Promise<unknown> = Promise.resolve()
  #opening: Opening | undefined
  readonly #ended = new AbortController()
  readonly #proofs: Proofs
  // Of sessions that do not last.
  readonly #pace: ConnectPace

  constructor(host: ProofSource, place: NexusPlace) {
    this.#host = host
    this.place = place
    this.#rival = new Rival(host.clock, place.initiator)
    this.#pace = new ConnectPace(host.clock, host.random)
    this.#proofs = new Proofs(
      host,
      {
        place,
        missed: this.missed,
        live: () => (this.session?.usable ? this.session : undefined),
        exclusive: (work) => this.#exclusive(work),
        login: (options) => this.#login(options),
      },
      this.#ended.signal,
    )
  }

  /** The live session, or one that is opened now: one try, shared by all who ask meanwhile. `release` it later. */
  async acquire(options: OpenOptions = {}): Promise<Session> {
    this.#linger?.cancel()
    this.#users++
    try {
      return await this.#reach(options)
    } catch (error) {
      this.release()
      throw error
    }
  }

  async #reach({ signal, recent = false }: OpenOptions): Promise<Session> {
    signal?.throwIfAborted()
    if (this.session?.usable) return this.session
    const { tooEarly } = this.#pace
    if (recent && tooEarly !== undefined && this.#opening === undefined) throw tooEarly
    const opening = this.#opening ?? this.#open(recent)
    opening.waiting++
    return new Promise<Session>((resolve, reject) => {
      const leave = (): void => {
        signal?.removeEventListener('abort', onAbort)
        opening.waiting--
        if (opening.waiting > 0) return
        opening.stop.abort()
        // Whoever comes now must not share what nobody waits for any more.
        if (this.#opening === opening) this.#opening = undefined
      }
      const onAbort = (): void => {
        leave()
        reject(new BlockError('ABORTED', 'the call was aborted', { cause: signal?.reason }))
      }
      signal?.addEventListener('abort', onAbort)
      opening.session.then(
        (session) => {
          leave()
          resolve(session)
        },
        (error) => {
          leave()
          reject(error)
        },
      )
    })
  }

  #open(recent: boolean): Opening {
    const stop = new AbortController()
    const session = this.#exclusive(() => this.#login({ signal: stop.signal, recent }))
    const opening = { session, stop, waiting: 0 }
    this.#opening = opening
    const over = (): void => {
      if (this.#opening === opening) this.#opening = undefined
    }
    session.then(() => {
      over()
      // Everybody may have left in the same turn.
      this.#lingerIfIdle()
    }, over)
    return opening
  }

  /** Gives an acquired session back; the last one to do so ends it after a moment. */
  release(): void {
    this.#users--
    this.#lingerIfIdle()
  }

  /** Ends the session as soon as nobody uses it; after that no proof is looked for any more. */
  async close(): Promise<void> {
    this.#ended.abort()
    this.#linger?.cancel()
    if (this.#users === 0) await this.#leave()
  }

  #lingerIfIdle(): void {
    if (this.#users > 0 || this.session === undefined) return
    this.#linger?.cancel()
    this.#linger = this.#host.clock.after(this.#ended.signal.aborted ? 0 : LINGER, () => {
      if (this.#users === 0) void this.#leave()
    })
  }

  async #leave(): Promise<void> {
    const { session } = this
    this.session = undefined
    await session?.logout()
  }

  /** As {@link Proofs.fenced}. */
  fenced(session: Session, owner: object, lun: Lun): Promise<void> {
    return this.#proofs.fenced(session, owner, lun)
  }

  /** As {@link Proofs.failure}. */
  get proofFailure(): Error | undefined {
    return this.#proofs.failure
  }

  /** As {@link Proofs.prove}, with a session that is kept meanwhile. */
  async prove(lost: Lost, lun: Lun, options: SignalOptions = {}): Promise<void> {
    this.#linger?.cancel()
    this.#users++
    try {
      await this.#proofs.prove(lost, lun, options)
    } finally {
      this.release()
    }
  }

  async #login(options: OpenOptions): Promise<Session> {
    if (this.session?.usable) return this.session
    // One that the target has asked to leave: its last commands are ended by this login.
    this.session?.drop(new BlockError('CONNECT_FAILED', 'another session takes its place'))
    const session = await this.#tryLogin(options)
    this.#proofs.opened(session)
    this.session = session
    session.explain = (error) => this.#rival.explain(error)
    this.missed.begin()
    const { clock } = this.#host
    const since = clock.now()
    session.listeners.add({
      lost: (error) => {
        if (clock.now() - since >= STEADY * 1000) this.#pace.succeeded()
        this.#pace.failed(error)
        if (this.session === session) this.session = undefined
        this.#proofs.lost(session)
      },
      event: (high, low, sense) => this.missed.hear({ high, low }, sense),
    })
    // Those who asked for it may have gone meanwhile.
    this.#lingerIfIdle()
    return session
  }

  async #tryLogin(options: OpenOptions): Promise<Session> {
    try {
      const session = await this.#host.open(this.place, options)
      this.#rival.opened()
      return session
    } catch (error) {
      if (options.signal?.aborted !== true) this.#rival.refused()
      throw error
    }
  }

  #exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}
