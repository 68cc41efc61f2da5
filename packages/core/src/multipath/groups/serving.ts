import type { Host } from '../../clock.ts'
import type { Engine } from '../engine.ts'
import { asideOf } from '../health/aside.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PathSlot } from '../path-slot.ts'
import { standsBack } from '../usable.ts'
import { Activation } from './activation.ts'
import { Groups } from './groups.ts'

/** A slot stands back since I/O has not gone back to it yet; its device says more. */
const WAITS = 'usable again, and I/O has not gone back to it yet'

/** What the serving tells its device. */
export interface ServingOwner {
  /** All slots. */
  slots(): readonly PathSlot[]
  /** I/O goes to these from now on. */
  routed(slots: readonly PathSlot[]): void
  /** No path takes I/O any more. */
  stalled(): void
  /** One does again; `expired`: how many Ios ended meanwhile. */
  resumed(expired: number): void
  /** Why a slot stands back, or that it does not any more. */
  stoodBack(slot: PathSlot): void
}

/** Which paths serve, as they come, go and change. */
export class Serving {
  readonly #host: Host
  readonly #options: ResolvedOptions
  readonly #engine: Engine
  readonly #owner: ServingOwner
  readonly #groups: Groups
  readonly #activation: Activation
  #closed = false
  #stalledAt: number

  /** `ended` fires when the device ends. */
  constructor(host: Host, options: ResolvedOptions, ended: AbortSignal, engine: Engine, owner: ServingOwner) {
    this.#host = host
    this.#options = options
    this.#engine = engine
    this.#owner = owner
    this.#stalledAt = host.clock.now()
    this.#groups = new Groups(host.clock, options.failback, () => this.refresh())
    this.#activation = new Activation(host, options, ended, {
      slots: () => owner.slots(),
      isServed: () => this.#closed || engine.usable.length > 0,
      isWanted: () => engine.parked > 0,
    })
  }

  /** How long I/O that waits may still wait, milliseconds, where no path serves. */
  get patience(): number {
    return Math.max(0, this.#options.noPathTimeout - (this.#host.clock.now() - this.#stalledAt) / 1000)
  }

  /** Looks anew which paths I/O goes to. */
  refresh(): void {
    const all = this.#owner.slots()
    const slots = this.#closed ? [] : this.#groups.choose(all)
    this.#standBack(all, slots)
    const before = this.#engine.usable
    if (slots.length !== before.length || slots.some((slot, index) => slot !== before[index])) {
      if (!this.#closed) this.#owner.routed(slots)
      const expired = this.#engine.setUsable(slots)
      if (slots.length === 0) this.#stall(before)
      if (expired !== undefined) this.#owner.resumed(expired)
      if (slots.length === 0) for (const slot of all) slot.hurry()
    }
    this.#engine.setAside(asideOf(all, this.#engine.usable))
    this.#activation.look()
  }

  #stall(before: readonly PathSlot[]): void {
    this.#stalledAt = this.#host.clock.now()
    if (this.#closed) return
    this.#activation.emptied(before)
    this.#owner.stalled()
  }

  #standBack(slots: readonly PathSlot[], tier: readonly PathSlot[]): void {
    for (const slot of slots) {
      const why = standsBack(slot, tier) || (this.#groups.waits(slot) ? WAITS : '')
      if (why === slot.standsBack) continue
      slot.standsBack = why
      this.#owner.stoodBack(slot)
    }
  }

  /** Has I/O go to the best group now. */
  failBack(): void {
    this.#groups.failBack()
    this.refresh()
  }

  /** The same for this one, as soon as it is usable. */
  welcome(slot: PathSlot): void {
    this.#groups.welcome(slot)
    this.refresh()
  }

  /** Why a slot that is up takes no I/O, which it could; an empty text where it does. */
  describe(slot: PathSlot): string {
    if (slot.standsBack === WAITS) return this.#groups.describeWait()
    return slot.standsBack || this.#activation.describe(slot)
  }

  /** The same where nothing is wrong with that. */
  inReserve(slot: PathSlot): string {
    return this.#groups.inReserve(slot)
  }

  /** No path serves from now on. */
  stop(): void {
    this.#closed = true
    this.#groups.stop()
    this.#activation.stop()
  }
}
