import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { SharedTry } from '@blockbraid/wire'
import type { LeftController } from '../place/fence-token.ts'
import type { Place } from '../place/place.ts'
import { climbFor } from './ladder.ts'
import type { LadderHost } from './ladder-host.ts'
import { publishFence } from './news.ts'
import { quietBy } from './quiet-time.ts'
import type { SharedAssociation } from './shared-association.ts'
import { isNamed } from './siblings.ts'

// One try takes at most so long, milliseconds.
const TRY = 10_000
// More controllers than processes have left; the time of one that was forgotten begins anew.
const MOST = 10_000

/** Proves of controllers of processes that have ended that nothing that was sent to them can change data any more. */
export class Heirs {
  readonly #host: LadderHost
  readonly #at: (place: Place) => SharedAssociation
  readonly #ended: AbortSignal
  /** When each was first asked for, µs: the process had fallen silent before. */
  readonly #asked = new Map<string, number>()
  /** Those that are proven to have ended: each namespace of a controller asks for itself, and none is reset twice. */
  readonly #proven = new Set<string>()
  readonly #trying = new SharedTry<void>()

  /** `ended`: no proof is looked for any more. */
  constructor(host: LadderHost, at: (place: Place) => SharedAssociation, ended: AbortSignal) {
    this.#host = host
    this.#at = at
    this.#ended = ended
  }

  /**
   * One try: a cross-controller reset through any association of that subsystem with the same host identity, or the time that
   * has passed since this process asked first. Rejects with CONNECT_FAILED where there is no proof yet.
   */
  async prove(left: LeftController, { signal = new AbortController().signal }: SignalOptions = {}): Promise<void> {
    const key = keyOf(left)
    if (this.#proven.has(key)) return
    await this.#trying.ask(key, signal, (stop) => this.#prove(left, key, stop))
  }

  async #prove(left: LeftController, key: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#host
    const asked = this.#asked.get(key) ?? clock.now()
    if (this.#asked.size < MOST) this.#asked.set(key, asked)
    const over = new AbortController()
    const timer = clock.after(TRY, () => over.abort())
    const both = AbortSignal.any([over.signal, this.#ended, signal])
    const giveBack = this.#reach(left, both)
    try {
      const fence = await climbFor(left, asked, this.#host, both)
      if (fence === undefined) throw this.#notYet(left, asked)
      this.#asked.delete(key)
      // Without a random number a later controller may be named the same.
      if (isNamed(left) && this.#proven.size < MOST) this.#proven.add(key)
      publishFence(left.place, left.id, { ...fence, took: (clock.now() - asked) / 1000 })
    } finally {
      timer.cancel()
      over.abort()
      void giveBack.then((release) => release())
    }
  }

  /** Opens what may reset it, as that host: resolves to what gives it back. */
  async #reach(left: LeftController, signal: AbortSignal): Promise<() => void> {
    const { siblings } = this.#host
    if (!isNamed(left) || siblings.of(left).length > 0) return () => {}
    const shared = this.#at(left.place)
    try {
      await shared.acquire({ signal, recent: true })
      return () => shared.release()
    } catch {
      return () => {}
    }
  }

  #notYet(left: LeftController, asked: number): BlockError {
    const { clock, quiesceTime } = this.#host
    const which = `controller ${left.id} of ${left.place.subNqn} at ${left.place.portal.address}`
    const at = quietBy({ heardAt: asked, quietAt: asked }, left, quiesceTime)
    if (at === undefined) {
      const text = `${which} watches nobody (KATO 0), so that no time ends it, and no other controller has reset it`
      return new BlockError('CONNECT_FAILED', text)
    }
    const seconds = Math.ceil(Math.max(0, at - clock.now()) / 1e6)
    return new BlockError('CONNECT_FAILED', `${which} may go on for ${seconds} s until it misses its host`)
  }
}

function keyOf({ place, id, instance, instanceRandom }: LeftController): string {
  const { hostNqn, hostId, subNqn } = place
  return [hostNqn, hostId, subNqn, id, instance, instanceRandom].join(' ')
}
