import { abortable, delay } from '@blockbraid/core'
import { get16le, get32le } from '@blockbraid/wire'
import type { ControllerFacts } from '../association/association.ts'
import type { Place } from '../place/place.ts'
import type { LadderHost } from './ladder-host.ts'

// The first power state that Linux's target makes up, at byte 2048: MP, ENLAT and EXLAT.
const POWER_STATE = 2048
const MAX_POWER = 0x9c4
const ENTRY_LATENCY = 0x10
const EXIT_LATENCY = 4
// KAS there: one second.
const KEEP_ALIVE_STEP = 10

/**
 * Whether it is a controller of Linux's nvmet: it says that it is disabled at once (CSTS.RDY=0), while what it was sent goes on
 * in its devices. Against the standard, but common. It forgets a controller when each of its queues has ended, and a
 * queue ends when all that it was sent has: that is the proof there.
 */
export function endsLate({ model, identify }: ControllerFacts): boolean {
  if (model === 'Linux') return true
  return (
    get16le(identify, 320) === KEEP_ALIVE_STEP &&
    get16le(identify, POWER_STATE) === MAX_POWER &&
    get32le(identify, POWER_STATE + 4) === ENTRY_LATENCY &&
    get32le(identify, POWER_STATE + 8) === EXIT_LATENCY
  )
}

// Milliseconds.
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 500
const ANSWER = 2000

/** Asks a portal again and again whether a controller is still there. */
export class Presence {
  /** When it was there last, µs; undefined: it was not seen. */
  seenAt: number | undefined
  readonly #place: Place
  readonly #controller: number
  readonly #host: LadderHost

  constructor(place: Place, controller: number, host: LadderHost) {
    this.#place = place
    this.#controller = controller
    this.#host = host
  }

  /** Resolves to true when it was forgotten, and to false only when `signal` fires. */
  async gone(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#host
    for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      if (await this.#isGone(signal)) return true
      await delay(clock, pause, signal)
    }
    return false
  }

  async #isGone(signal: AbortSignal): Promise<boolean> {
    const { clock, siblings, forgets } = this.#host
    // Its number has been given to another one.
    if (siblings.has(this.#place, this.#controller)) return true
    const late = new AbortController()
    const timer = clock.after(ANSWER, () => late.abort())
    try {
      const both = AbortSignal.any([signal, late.signal])
      if (await abortable(forgets(this.#place, this.#controller, { signal: both }), both)) return true
      this.seenAt = clock.now()
      return false
    } catch {
      return false
    } finally {
      timer.cancel()
    }
  }
}
