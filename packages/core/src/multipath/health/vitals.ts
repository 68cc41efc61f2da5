import type { Host } from '../../clock.ts'
import { BlockError, messageOf } from '../../errors.ts'
import type { PathHealth } from '../../pair.ts'
import type { Path } from '../../target.ts'
import { KindCounts } from '../kind-counts.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PathEntry } from '../path-entry.ts'
import { kindOfFailure, NO_ANSWER } from '../troubles.ts'
import { KeepAlive, SILENT } from './keep-alive.ts'
import { Outlived } from './outlived.ts'
import { Probation } from './probation.ts'
import type { Ended } from './trust.ts'
import { Trust } from './trust.ts'
import { seconds } from './words.ts'

/** What is told of a path's health. */
export interface VitalsOwner {
  fail(reason: string, kind?: string): void
  failHung(reason: string, kind: string): void
  /** It is something else than before, or takes reads, or not any more. */
  ailed(state: PathHealth | 'well', reason: string): void
  /** The same without being news for people. */
  eased(): void
}

/** How well a path is: whether it is there, whether it stays there, whether it keeps up with the others. */
export class Vitals {
  /** What its path has told of. */
  readonly outlived: Outlived = new Outlived()
  /** Held against it after failures. */
  readonly trust: Trust
  readonly #options: ResolvedOptions
  readonly #clock: Host['clock']
  readonly #keepAlive: KeepAlive
  readonly #probation: Probation
  readonly #counts = new KindCounts()
  readonly #owner: VitalsOwner
  /** Why it is demoted, for people; an empty text where it is not. */
  #demotion = ''
  /** `clock.now()` since when it is what it is, µs. */
  #since = 0

  constructor(host: Host, options: ResolvedOptions, entry: PathEntry, owner: VitalsOwner) {
    this.#owner = owner
    this.#options = options
    this.#clock = host.clock
    this.trust = new Trust(entry, options)
    this.#keepAlive = new KeepAlive(host, options, entry, (reason) => owner.failHung(reason, SILENT))
    this.#probation = new Probation(host.clock, {
      opened: () => owner.eased(),
      failed: (error) => this.#probeFailed(error),
      passed: () => this.#passed(),
    })
  }

  get state(): PathHealth | '' {
    if (this.trust.cause !== '') return 'probation'
    return this.#demotion === '' ? '' : 'demoted'
  }

  /** Why it is not well, and what will happen next, for people; an empty text where it is well. */
  get reason(): string {
    const { state } = this
    if (state === '') return ''
    const since = seconds((this.#clock.now() - this.#since) / 1000)
    if (state === 'demoted') return `demoted for ${since}: ${this.#demotion}; takes only a few reads until it is well`
    const why = `on probation for ${since}: ${this.trust.cause}`
    if (!this.#probation.isOn) return `${why}; has to stay up for ${seconds(this.trust.term)} first`
    const takes = this.#probation.takesReads ? 'takes only a few reads' : 'takes no I/O while others do'
    return `${why}; ${takes}, and is like the others in ${seconds(this.#probation.left)}`
  }

  /** Whether a few reads go to it though others serve. */
  get takesReads(): boolean {
    return this.trust.cause === '' ? this.#demotion !== '' : this.#probation.takesReads
  }

  /** How often it was not well, by what it was; undefined where it always was. */
  get counts(): Readonly<Record<string, number>> | undefined {
    return this.#counts.counts
  }

  /** Milliseconds in which it must answer a read. */
  get limit(): number {
    const { connectTimeout, ioTimeout } = this.#options
    return ioTimeout === 0 ? connectTimeout : Math.min(connectTimeout, ioTimeout)
  }

  /** It is up. */
  begin(path: Path): void {
    this.trust.begin()
    this.#keepAlive.begin(path)
    if (this.trust.cause !== '') this.#probation.begin(path, this.trust.term, this.limit)
  }

  /** It is not up any more. */
  stop(): void {
    this.#keepAlive.stop()
    this.#probation.stop()
  }

  /** See {@link Trust.end}. */
  end(ended: Ended): boolean {
    const before = this.trust.cause
    const served = this.trust.end(ended)
    if (before === '' && this.trust.cause !== '') {
      this.#demotion = ''
      this.#ail('probation', `${this.trust.cause}; has to stay up for ${seconds(this.trust.term)} first`)
    }
    return served
  }

  /** It goes last from now on. */
  demote(reason: string): void {
    this.#demotion = reason
    this.#ail('demoted', `${reason}; takes only a few reads until it is well`)
  }

  #ail(state: PathHealth, reason: string): void {
    this.#since = this.#clock.now()
    this.#counts.count(state)
    this.#owner.ailed(state, reason)
  }

  /** It does not go last any more. */
  promote(why: string): void {
    this.#demotion = ''
    this.#owner.ailed('well', why)
  }

  /** Somebody vouches for it. */
  restore(): void {
    const { state } = this
    this.trust.restore()
    this.#probation.stop()
    this.#demotion = ''
    if (state !== '') this.#owner.ailed('well', 'restored by hand')
  }

  #probeFailed(error: unknown): void {
    const reason = `on probation: ${messageOf(error)}`
    if (BlockError.is(error) && error.code === 'TIMED_OUT') this.#owner.failHung(reason, NO_ANSWER)
    else this.#owner.fail(reason, kindOfFailure(error))
  }

  #passed(): void {
    const term = seconds(this.trust.term)
    this.trust.free(this.#clock.now())
    this.#owner.ailed('well', `has stayed up for ${term} on probation`)
  }
}
