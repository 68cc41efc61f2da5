import type { Clock, SignalOptions, Timer } from '@blockbraid/core'
import { BlockError, delay } from '@blockbraid/core'
import type { Lun } from '../scsi/lun.ts'
import type { Session } from '../session/session.ts'
import { MissedNews } from './missed.ts'
import type { Portal } from './portal.ts'

/** What a nexus needs to log in. */
export interface NexusHost {
  readonly clock: Clock
  readonly random: () => number
  /** One try to log in to `targetName` at `portal` under `isid`. */
  open(targetName: string, portal: Portal, isid: Uint8Array, options: SignalOptions): Promise<Session>
  /** Whether a logical unit has worked off all that was sent to it before. */
  workedOff(session: Session, lun: Lun): Promise<boolean>
  /** Other portals of the target that have a session now, and may lead to the portal group of a `lost` one. */
  siblings(nexus: Nexus, lost: readonly Session[]): readonly Portal[]
}

/** Whose commands are not known to have ended. */
interface Unproven {
  readonly session: Session
  readonly lun: Lun
  readonly resolve: () => void
}

/** A login that is under way, and how many wait for it. */
interface Opening {
  readonly session: Promise<Session>
  readonly stop: AbortController
  waiting: number
}

// A session that nobody uses is kept for that long, so that discovery and connect share one, milliseconds.
const LINGER = 500
const PROVE_DELAY = 100
const PROVE_DELAY_MAX = 5000

/**
 * The initiator's end of one I_T nexus (RFC 7143 §4.1): one initiator session id, under which there is at most
 * one session at a time. A login under it ends every session before it at the target (§6.3.5): that is the fence.
 */
export class Nexus {
  readonly targetName: string
  readonly portal: Portal
  readonly isid: Uint8Array
  /** The session that lives now. */
  session: Session | undefined
  /** What no path has heard. */
  readonly missed = new MissedNews()
  readonly #host: NexusHost
  #users = 0
  #linger: Timer | undefined
  // Logins under one id must not overlap: a late one would end the session of an earlier one.
  #turn: Promise<unknown> = Promise.resolve()
  #opening: Opening | undefined
  readonly #replaced = new WeakSet<Session>()
  #unproven: Unproven[] = []
  #proving = false
  // Lost with commands that may have changed data, and not replaced: whoever asks for a fence may do so later.
  readonly #lost = new Set<Session>()
  readonly #ended = new AbortController()

  constructor(host: NexusHost, targetName: string, portal: Portal, isid: Uint8Array) {
    this.#host = host
    this.targetName = targetName
    this.portal = portal
    this.isid = isid
  }

  /** The live session, or one that is opened now: one try, shared by all who ask meanwhile. `release` it later. */
  async acquire({ signal }: SignalOptions = {}): Promise<Session> {
    this.#linger?.cancel()
    this.#users++
    try {
      return await this.#reach(signal)
    } catch (error) {
      this.release()
      throw error
    }
  }

  async #reach(signal: AbortSignal | undefined): Promise<Session> {
    signal?.throwIfAborted()
    if (this.session?.usable) return this.session
    const opening = this.#opening ?? this.#open()
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

  #open(): Opening {
    const stop = new AbortController()
    const session = this.#exclusive(() => this.#login(stop.signal))
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

  /**
   * Settles when nothing that `owner` has sent to `lun` through `session` can change data any more: at once where
   * nothing was open when the session was lost, else after a login that took its place, and after the logical unit
   * has worked off what it had begun. Never settles without proof.
   */
  fenced(session: Session, owner: object, lun: Lun): Promise<void> {
    if (!session.unfenced.has(owner)) return Promise.resolve()
    return new Promise((resolve) => {
      this.#unproven.push({ session, lun, resolve })
      if (!this.#proving) void this.#prove()
    })
  }

  async #prove(): Promise<void> {
    this.#proving = true
    const { clock, random } = this.#host
    const { signal } = this.#ended
    for (let wait = PROVE_DELAY; !signal.aborted; wait = Math.min(wait * 2, PROVE_DELAY_MAX)) {
      await this.#exclusive(() => this.#tryToProve())
      if (this.#unproven.length === 0) break
      await delay(clock, wait * (0.5 + random() / 2), signal)
    }
    this.#proving = false
  }

  /** Tries a portal of the same group that works, where there is one, and then its own. */
  async #tryToProve(): Promise<void> {
    if (this.session?.usable) return this.#workOff(this.session)
    const lost = this.#unproven.map((one) => one.session)
    for (const portal of this.#host.siblings(this, lost)) {
      if (this.#unproven.length === 0 || this.#ended.signal.aborted) return
      try {
        const session = await this.#host.open(this.targetName, portal, this.isid, { signal: this.#ended.signal })
        this.#takesPlace(session, true)
        await this.#workOff(session)
        await session.logout()
      } catch {
        // Another one may do.
      }
    }
    if (this.#unproven.length === 0) return
    try {
      await this.#workOff(await this.#login(this.#ended.signal))
    } catch {
      // It is tried again.
    }
  }

  async #login(signal: AbortSignal): Promise<Session> {
    if (this.session?.usable) return this.session
    // One that the target has asked to leave: its last commands are ended by this login.
    this.session?.drop(new BlockError('CONNECT_FAILED', 'another session takes its place'))
    const session = await this.#host.open(this.targetName, this.portal, this.isid, { signal })
    this.#takesPlace(session, false)
    this.session = session
    session.listeners.add({
      lost: () => {
        if (this.session === session) this.session = undefined
        if (session.unfenced.size > 0) this.#lost.add(session)
      },
      event: (high, low, sense) => this.missed.hear({ high, low }, sense),
    })
    // Those who asked for it may have gone meanwhile.
    this.#lingerIfIdle()
    return session
  }

  /** A login has ended every session before it under this id in the same portal group. */
  #takesPlace({ negotiated: { targetPortalGroupTag: now } }: Session, strict: boolean): void {
    for (const session of new Set([...this.#lost, ...this.#unproven.map((one) => one.session)])) {
      const before = session.negotiated.targetPortalGroupTag
      // Without tags only the portal itself is known to lead to the same group.
      if (before === undefined || now === undefined ? !strict : before === now) {
        this.#replaced.add(session)
        this.#lost.delete(session)
      }
    }
  }

  /**
   * Not every target ends, at a login, what its storage is executing by then: tgt does not. An ordered command waits
   * for all that was there before it (SAM-5 §8.6.3).
   */
  async #workOff(session: Session): Promise<void> {
    const ready = this.#unproven.filter((one) => this.#replaced.has(one.session))
    const luns = new Map(ready.map(({ lun }) => [lun.name, lun]))
    const worked = new Set<string>()
    for (const [name, lun] of luns) if (await this.#host.workedOff(session, lun)) worked.add(name)
    this.#unproven = this.#unproven.filter((one) => {
      if (!ready.includes(one) || !worked.has(one.lun.name)) return true
      one.resolve()
      return false
    })
  }

  #exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}
