import type { PathInfo } from '@blockbraid/core'
import type { TargetPlace } from './places.ts'

/** What is to be said of a unit. */
export interface UnitNote {
  /** Its name. */
  readonly unit: string
  /** What is wrong with it, for people. */
  readonly text: string
  /** Whether it is expected, and not there. */
  readonly missing: boolean
}

/** What is found at a place, as far as it has answered. */
export class Listing {
  /** Where. */
  readonly place: TargetPlace
  /** What was found there before, by the name of the unit. */
  readonly before: ReadonlyMap<string, PathInfo>
  /** Units that are not asked again. */
  readonly #kept: ReadonlyMap<string, PathInfo>
  /** By the name of the unit. */
  readonly infos = new Map<string, PathInfo>()
  /** What is to be said of its units. */
  readonly notes: UnitNote[] = []
  /** Names of units that are asked and have not answered. */
  readonly waiting = new Set<string>()
  /** Why those that do not tell their size do not. */
  readonly sizeless = new Map<string, string>()
  /** Said of the place as a whole. */
  readonly remarks = new Set<string>()
  /** Whether each unit has answered, or has failed to. */
  complete = false

  constructor(
    place: TargetPlace,
    before: ReadonlyMap<string, PathInfo>,
    kept: ReadonlyMap<string, PathInfo> = new Map(),
  ) {
    this.place = place
    this.before = before
    this.#kept = kept
  }

  /** Whether a unit is taken to be what it was; then it is listed. */
  keep(unit: string): boolean {
    const info = this.#kept.get(unit)
    if (info !== undefined) this.infos.set(unit, info)
    return info !== undefined
  }

  /** What units have said themselves, by name. */
  get sure(): ReadonlyMap<string, PathInfo> {
    const odd = new Set(this.notes.map(({ unit }) => unit))
    return new Map([...this.infos].filter(([unit]) => !odd.has(unit) && !this.sizeless.has(unit)))
  }

  /** What there is, with what was there before in place of what has not answered. */
  get found(): PathInfo[] {
    const kept = [...this.waiting].flatMap((unit) => this.before.get(unit) ?? [])
    return [...this.infos.values(), ...kept]
  }
}
