import { BackOff } from '../../back-off.ts'
import type { Host } from '../../clock.ts'
import { delay } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import type { Path } from '../../target.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PathSlot } from '../path-slot.ts'
import { Pause } from '../pause.ts'
import { bestRank, groupOf } from './rank.ts'
import { Rivals } from './rivals.ts'

// How long the paths may take to tell that the storage has moved the volume to another port that this host sees, milliseconds.
const LOOK = 500
// How long paths that are not up are waited for once the first is up, milliseconds: one may need no activation.
const GRACE = 1000

const MOVED = 'another host, or the storage itself, has moved the volume to another port'

/** What the activation asks its device. */
export interface ActivationOwner {
  /** All slots. */
  slots(): readonly PathSlot[]
  /** Whether I/O can go anywhere, or nothing is wanted any more. */
  isServed(): boolean
  /** Whether I/O waits. */
  isWanted(): boolean
}

/**
 * Asks one standby path after another to be made active, where no path is usable and no transition is under way: one at a
 * time, and the next only when the one before was refused or has come to nothing in its time. What another host takes
 * back is asked for less and less often, and only while I/O waits.
 */
export class Activation {
  readonly #host: Host
  readonly #options: ResolvedOptions
  readonly #owner: ActivationOwner
  readonly #ended: AbortSignal
  readonly #refusals: BackOff
  readonly #rivals: Rivals
  /** Until it ends nothing is asked. */
  readonly #pause: Pause
  /** Until it ends the storage may still do what it was asked for. */
  readonly #grant: Pause
  /** Until it ends a path that needs no activation may come up. */
  readonly #others: Pause
  readonly #asked = new Set<PathSlot>()
  #asking = false
  /** The one that was asked last, as long as that may come to something. */
  #candidate: PathSlot | undefined
  /** Where I/O went before no path was left; undefined once it is judged. */
  #before: readonly PathSlot[] | undefined
  #moved = false
  #emptiedAt = -1
  #until = 0
  #why = ''

  /** `ended` fires when the device ends. */
  constructor(host: Host, options: ResolvedOptions, ended: AbortSignal, owner: ActivationOwner) {
    this.#host = host
    this.#options = options
    this.#owner = owner
    this.#ended = ended
    this.#refusals = new BackOff(options.reconnectDelay, options.reconnectDelayMax, host.random)
    this.#rivals = new Rivals(host, options)
    this.#pause = new Pause(host.clock, () => this.look())
    this.#others = new Pause(host.clock, () => this.look())
    this.#grant = new Pause(host.clock, () => {
      this.#candidate = undefined
      this.look()
    })
  }

  /** No path of `before`, which I/O went to, is left. */
  emptied(before: readonly PathSlot[]): void {
    this.#before = before
    this.#emptiedAt = this.#host.clock.now()
  }

  /** Looks whether one is to be asked now. */
  look(): void {
    if (this.#ended.aborted) return
    if (this.#owner.isServed()) return this.#served()
    const slots = this.#owner.slots()
    if (this.#asking || this.#pause.isOn || slots.some(({ transition }) => transition.isOn)) return
    if (this.#grant.isOn && this.#candidate?.state === 'up') return
    this.#grant.end()
    this.#candidate = undefined
    if (this.#wasMoved(slots)) return
    if (this.#moved && !this.#owner.isWanted()) return this.#rest(LOOK, this.#why)
    const next = this.#next(slots)
    if (next !== undefined && !this.#awaitsOthers(slots)) void this.#ask(next, next.entry.path as Path)
  }

  #served(): void {
    if (this.#candidate !== undefined) this.#rivals.won(this.#candidate)
    this.#candidate = undefined
    this.#before = undefined
    this.#moved = false
    this.#asked.clear()
    this.#refusals.reset()
    this.stop()
    this.#why = ''
  }

  /** Whether the storage has moved the volume away from paths that are still up: then it may be at others in a moment. */
  #wasMoved(slots: readonly PathSlot[]): boolean {
    const before = this.#before
    this.#before = undefined
    if (before === undefined) return false
    const wait = this.#rivals.lost()
    this.#moved = wait > 0 || before.some(isStandby)
    if (!this.#moved) return false
    for (const { state, entry } of slots) if (state === 'up') entry.path?.lookAgain?.()
    this.#rest(Math.max(LOOK, wait), this.#rivals.words || MOVED)
    return true
  }

  #awaitsOthers(slots: readonly PathSlot[]): boolean {
    if (slots.every(({ state }) => state === 'up' || state === 'disabled')) return false
    const since = Math.min(...slots.filter(({ state }) => state === 'up').map((slot) => slot.since))
    // It was there all the while: what was lost is why it is wanted.
    if (since <= this.#emptiedAt) return false
    const left = GRACE - (this.#host.clock.now() - since) / 1000
    if (left > 0) this.#others.begin(left)
    return left > 0
  }

  #next(slots: readonly PathSlot[]): PathSlot | undefined {
    const able = slots.filter((slot) => isStandby(slot) && slot.entry.path?.activate !== undefined)
    if (able.every((slot) => this.#asked.has(slot))) this.#asked.clear()
    const left = able.filter((slot) => !this.#asked.has(slot))
    const best = bestRank(left)
    return best && groupOf(left, best)[0]
  }

  async #ask(slot: PathSlot, path: Path): Promise<void> {
    const { clock } = this.#host
    const { connectTimeout, transitionTimeout } = this.#options
    this.#asking = true
    this.#asked.add(slot)
    // What it brings may come before its answer does.
    this.#candidate = slot
    const over = new AbortController()
    const failure = await Promise.race([
      // Of a plugin that throws, too.
      (async () => path.activate?.({ signal: over.signal }))().then(() => undefined, messageOf),
      delay(clock, connectTimeout, AbortSignal.any([over.signal, this.#ended])).then(
        () => `it had no answer for ${connectTimeout} ms`,
      ),
    ])
    over.abort()
    this.#asking = false
    if (this.#ended.aborted || this.#owner.isServed()) return
    if (failure === undefined) {
      const { transitionTime = 0 } = path
      this.#grant.begin(transitionTime > 0 ? transitionTime : transitionTimeout)
    } else {
      this.#candidate = undefined
      this.#rest(this.#refusals.wait(), `its activation has failed: ${failure}`)
      this.#refusals.count()
    }
    this.look()
  }

  #rest(wait: number, why: string): void {
    this.#why = why
    this.#until = this.#host.clock.now() + wait * 1000
    this.#pause.begin(wait)
  }

  /** How it stands with a path in standby, in words; an empty text where there is nothing to be said. */
  describe(slot: PathSlot): string {
    if (!isStandby(slot) || slot.entry.path?.activate === undefined || this.#owner.isServed()) return ''
    if (slot === this.#candidate) return 'in standby: its activation was asked for'
    if (!this.#pause.isOn || this.#why === '') return ''
    const left = Math.ceil(Math.max(0, this.#until - this.#host.clock.now()) / 1_000_000)
    const when = this.#moved && !this.#owner.isWanted() ? 'when I/O waits for it' : `in ${left} s`
    return `${this.#why}; the next try is ${when}`
  }

  /** Waits for nothing any more. */
  stop(): void {
    this.#others.end()
    this.#pause.end()
    this.#grant.end()
  }
}

function isStandby({ state, entry }: PathSlot): boolean {
  return state === 'up' && entry.access === 'standby'
}
