import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import { isVolumeId } from '@blockbraid/core'
import { integer, oneOf, wrong } from '../options/checks.ts'
import type { NvmeNamespaceOptions } from '../options/options.ts'
import type { Identifiers } from './ids.ts'
import { identifiersFrom, identifiersOf } from './ids.ts'
import { Reservations } from './reservations.ts'
import type { AnaGroup, Mapping, Volume } from './volume.ts'

/** The most namespaces and ANA groups that an array tells of. */
export const MOST_NAMESPACES = 1024

/** Every access state. */
export const ACCESS: readonly Access[] = ['optimized', 'non-optimized', 'standby', 'unavailable', 'transitioning']

/** Where a namespace is. */
export interface NamespacePlace {
  readonly nsid: number
  readonly ports: readonly number[]
  /** Undefined: what its group has. */
  readonly access: Access | undefined
  readonly group: number
  readonly ids: Identifiers
}

/** What is at which NSID of which port. */
export class Namespaces {
  /** Goes up with each change of an ANA state. */
  changes = 0
  readonly #volumes = new Map<VolumeId, Volume>()
  readonly #groups = new Map<number, AnaGroup>()
  readonly #ports: readonly Map<number, Mapping>[]

  constructor(ports: number) {
    this.#ports = Array.from({ length: ports }, () => new Map())
  }

  get all(): Iterable<Volume> {
    return this.#volumes.values()
  }

  get(volume: VolumeId): Volume {
    const known = this.#volumes.get(volume)
    if (known === undefined) throw wrong('volume', volume, 'the identity of a volume that is mapped')
    return known
  }

  /** Mappings of a port, by NSID. */
  of(port: number): ReadonlyMap<number, Mapping> {
    return this.#ports[port]!
  }

  /** Puts a volume at an NSID of its ports, in place of what was there. */
  map(options: NvmeNamespaceOptions, place: NamespacePlace): Mapping[] {
    const volume = this.#volume(options, place)
    const group = this.group(place.group)
    return place.ports.map((port) => {
      if (place.access !== undefined) group.access[port] = place.access
      const mapping: Mapping = { nsid: place.nsid, volume, port, group, ...openerOf(options, port) }
      const old = this.#ports[port]!.get(place.nsid)
      this.#ports[port]!.set(place.nsid, mapping)
      volume.mappings.add(mapping)
      if (old !== undefined) this.#forget(old)
      return mapping
    })
  }

  /** Takes what is at an NSID of a port away, and returns it. */
  unmap(port: number, nsid: number): Mapping | undefined {
    const mapping = this.#ports[port]!.get(nsid)
    if (mapping === undefined) return undefined
    this.#ports[port]!.delete(nsid)
    this.#forget(mapping)
    return mapping
  }

  /** The group of a number, made where it is new. */
  group(id: number): AnaGroup {
    const known = this.#groups.get(id)
    if (known !== undefined) return known
    const group: AnaGroup = { id, access: this.#ports.map(() => 'optimized') }
    this.#groups.set(id, group)
    return group
  }

  /** Sets states; watchers of the ports where they are others than before hear of it. */
  setAccess(where: { port?: number; group?: number; volume?: VolumeId }, access: Access): void {
    const groups =
      where.volume === undefined ? undefined : [...this.get(where.volume).mappings].map(({ group }) => group)
    for (const group of this.#groups.values()) {
      if (where.group !== undefined && where.group !== group.id) continue
      if (groups !== undefined && !groups.includes(group)) continue
      for (let port = 0; port < this.#ports.length; port++) {
        if (where.port !== undefined && where.port !== port) continue
        if (group.access[port] !== access) this.#change(group, port, access)
      }
    }
  }

  #change(group: AnaGroup, port: number, access: Access): void {
    group.access[port] = access
    this.changes++
    for (const volume of this.#volumes.values()) {
      for (const watcher of volume.watchers) {
        if (watcher.mapping.group === group && watcher.mapping.port === port) watcher.accessChanged()
      }
    }
  }

  #volume(options: NvmeNamespaceOptions, { ids }: NamespacePlace): Volume {
    const known = this.#volumes.get(options.volume)
    if (known !== undefined) return known
    const volume: Volume = {
      id: options.volume,
      ids,
      optimalBoundary: options.optimalBoundary ?? 0,
      deallocateZeroes: options.deallocateZeroes ?? true,
      reservations: new Reservations(),
      watchers: new Set(),
      mappings: new Set(),
    }
    this.#volumes.set(options.volume, volume)
    return volume
  }

  #forget(mapping: Mapping): void {
    const { volume } = mapping
    volume.mappings.delete(mapping)
    if (volume.mappings.size === 0) this.#volumes.delete(volume.id)
  }
}

/** Where a namespace is, checked; `field` names it in errors, `number` is its place in the list. */
export function placeOf(options: NvmeNamespaceOptions, field: string, number: number, ports: number): NamespacePlace {
  const { volume, device, access } = options
  if (!isVolumeId(volume)) throw wrong(`${field}.volume`, volume, 'an identity such as uuid.6ba7b810-…')
  const nsid = integer(`${field}.nsid`, options.nsid ?? number + 1, 1, 0xffff_fffe)
  const where = options.ports ?? Array.from({ length: ports }, (_, port) => port)
  for (const port of where) {
    integer(`${field}.ports`, port, 0, ports - 1)
    const one = Array.isArray(device) ? device[port] : device
    if (one === undefined) throw wrong(`${field}.device`, device, `a block device, or one for port ${port}`)
  }
  if (access !== undefined) oneOf(`${field}.access`, access, ACCESS)
  integer(`${field}.optimalBoundary`, options.optimalBoundary ?? 0, 0, 32 * 1024 * 1024, 512)
  const ids = options.ids === undefined ? identifiersOf(options.volume) : identifiersFrom(`${field}.ids`, options.ids)
  const group = integer(`${field}.anaGroup`, options.anaGroup ?? Math.min(nsid, MOST_NAMESPACES), 1, MOST_NAMESPACES)
  return { nsid, ports: where, access, group, ids }
}

/** How controllers get the device of a namespace: `owned` where each has its own. */
function openerOf(options: NvmeNamespaceOptions, port: number): Pick<Mapping, 'owned' | 'open'> {
  const { device } = options
  if (typeof device === 'function') return { owned: true, open: (hostNqn, signal) => device(port, hostNqn, signal) }
  const one: BlockDevice = Array.isArray(device) ? device[port] : device
  return { owned: false, open: () => Promise.resolve(one) }
}
