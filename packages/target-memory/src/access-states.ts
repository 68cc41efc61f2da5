import type { Access, Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Mapping } from './mapping.ts'
import { tellAll } from './tell.ts'
import type { Topology } from './topology.ts'

/** Which ports of an array hosts shall use, and how that changes. */
export class AccessStates {
  readonly #topology: Topology
  readonly #clock: Clock
  readonly #delay: number

  /** `delay`: how long a change takes that a host asks for, µs. */
  constructor(topology: Topology, clock: Clock, delay: number) {
    this.#topology = topology
    this.#clock = clock
    this.#delay = delay
  }

  set(mappings: readonly Mapping[], accessOf: (mapping: Mapping) => Access): void {
    this.#change(mappings, (mapping) => {
      const before = mapping.access
      mapping.access = accessOf(mapping)
      return mapping.access !== before
    })
  }

  prefer(mappings: readonly Mapping[], on: boolean): void {
    this.#change(mappings, (mapping) => {
      const before = mapping.preferred
      mapping.preferred = on
      return on !== before
    })
  }

  #change(mappings: readonly Mapping[], change: (mapping: Mapping) => boolean): void {
    const paths = mappings.filter(change).flatMap((mapping) => [...mapping.paths])
    for (const path of paths) path.refresh()
    tellAll(paths, (path) => path.accessChanged())
  }

  /**
   * A host asks for the controller of a port (explicit ALUA): that becomes optimized, and those that were so become what
   * it was. All of them are in transition meanwhile, and nobody can ask for another one.
   */
  activate(asked: Mapping): void {
    const { volume } = asked
    const before = asked.access
    if (before === 'optimized') return
    const least = before === 'standby' ? 'standby' : 'non-optimized'
    const all = this.#topology.mappingsOf(volume)
    if (this.#delay > 0 && all.some(({ access }) => access === 'transitioning')) {
      throw new BlockError('IO_FAILED', `a transition of ${volume.id} is under way`)
    }
    const next = new Map<Mapping, Access>()
    for (const mapping of all) {
      const own = mapping.port.controller === asked.port.controller
      const access = own ? 'optimized' : mapping.access === 'optimized' ? least : mapping.access
      if (access !== mapping.access) next.set(mapping, access)
    }
    const end = (): void => this.set([...next.keys()], (mapping) => next.get(mapping)!)
    if (this.#delay === 0) return end()
    this.set([...next.keys()], () => 'transitioning')
    this.#clock.after(this.#delay / 1000, end)
  }
}
