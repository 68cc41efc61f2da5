import type { Clock } from '@blockbraid/core'
import { delay } from '@blockbraid/core'
import type { Association, ControllerFacts } from '../association/association.ts'
import type { ControllerInstance } from '../nvme/admin.ts'
import type { Place } from '../place/place.ts'
import { ResetDesk } from './reset-desk.ts'

/** A controller that is to be ended: whose it is, and which. */
export interface LostController extends ControllerInstance, Pick<ControllerFacts, 'model' | 'serial'> {
  readonly place: Pick<Place, 'hostNqn' | 'hostId' | 'subNqn'>
}

// No random number: the controller cannot be named.
const NAMELESS = '0'.repeat(16)

/** Whether a controller told what a cross-controller reset names it by. */
export function isNamed({ instanceRandom }: ControllerInstance): boolean {
  return instanceRandom !== NAMELESS
}

/** Every association that can be used now, and what may reset the controller of a lost one. */
export class Siblings {
  readonly #clock: Clock
  readonly #live = new Set<Association>()
  readonly #desks = new WeakMap<Association, ResetDesk>()
  #changed = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** One has been opened; it goes when it is lost, or by `remove`. */
  add(association: Association): void {
    this.#live.add(association)
    association.listeners.add({ lost: () => this.remove(association) })
    this.#changed.abort()
    this.#changed = new AbortController()
  }

  remove(association: Association): void {
    this.#live.delete(association)
  }

  /** Whether there is a live one with that subsystem. */
  reach({ hostNqn, hostId, subNqn }: LostController['place']): boolean {
    return [...this.#live].some(
      ({ place }) => place.subNqn === subNqn && place.hostNqn === hostNqn && place.hostId === hostId,
    )
  }

  /** Whether there is a live one with that controller, at that place. */
  has({ hostNqn, hostId, subNqn, portal }: Place, controller: number): boolean {
    return [...this.#live].some(
      ({ place, controller: { id } }) =>
        id === controller &&
        place.portal.address === portal.address &&
        place.subNqn === subNqn &&
        place.hostNqn === hostNqn &&
        place.hostId === hostId,
    )
  }

  /**
   * Associations whose controllers can reset that one: of the same subsystem and the same host, as the command asks for.
   * An NQN that two systems share by mistake must not make one of them vouch for the other: model and serial number are
   * those of the subsystem (NVMe Base 2.1 §5.1.13.2.1).
   */
  of(lost: LostController): readonly Association[] {
    if (!isNamed(lost)) return []
    const { hostNqn, hostId, subNqn } = lost.place
    return [...this.#live].filter(
      ({ usable, place, controller }) =>
        usable &&
        controller.crossResets > 0 &&
        controller.id !== lost.id &&
        controller.serial === lost.serial &&
        controller.model === lost.model &&
        place.subNqn === subNqn &&
        place.hostNqn === hostNqn &&
        place.hostId === hostId,
    )
  }

  /** Where `association` is asked for resets. */
  deskOf(association: Association): ResetDesk {
    const known = this.#desks.get(association)
    if (known !== undefined) return known
    const desk = new ResetDesk(this.#clock, association)
    this.#desks.set(association, desk)
    return desk
  }

  /** Settles when another one has been opened, or after `milliseconds`. */
  change(milliseconds: number, signal: AbortSignal): Promise<void> {
    return delay(this.#clock, milliseconds, AbortSignal.any([signal, this.#changed.signal]))
  }
}
