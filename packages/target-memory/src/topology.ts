import type { Connected } from './mapping.ts'
import { Mapping } from './mapping.ts'
import type { ResolvedVolume } from './options.ts'
import { integer, wrong } from './options.ts'
import type { Port } from './port.ts'
import type { PortStatus, VolumeRef, VolumeStatus, Where } from './types.ts'
import { Volume } from './volume.ts'

/** What an array is made of, and which volume stands where. Lookups throw a TypeError that names what is wrong. */
export class Topology {
  readonly ports: readonly Port[]
  readonly volumes: Volume[] = []
  readonly #array: string
  readonly #controllers: number
  /** Volumes by their LUN. */
  readonly #luns: ReadonlyMap<Port, Map<number, Mapping>>

  constructor(array: string, controllers: number, ports: readonly Port[]) {
    this.#array = array
    this.#controllers = controllers
    this.ports = ports
    this.#luns = new Map(ports.map((port) => [port, new Map()]))
  }

  /** Adds a volume and maps it to every port. */
  add(options: ResolvedVolume): void {
    const volume = new Volume(this.volumes.length, options)
    this.volumes.push(volume)
    for (const port of this.ports) this.map(volume, port)
  }

  /** Maps a volume, by default at the lowest LUN that is free. */
  map(volume: Volume, port: Port, lun?: number): void {
    const luns = this.#luns.get(port)!
    let free = 0
    while (lun === undefined && luns.has(free)) free++
    luns.set(lun ?? free, new Mapping(port, lun ?? free, volume))
  }

  unmap(mapping: Mapping): void {
    this.#luns.get(mapping.port)!.delete(mapping.lun)
  }

  volume(ref: VolumeRef): Volume {
    const found = typeof ref === 'number' ? this.volumes[ref] : this.volumes.find(({ id }) => id === ref)
    if (found !== undefined) return found
    throw wrong(
      'volume',
      ref,
      `the identity or the number, below ${this.volumes.length}, of a volume of ${this.#array}`,
    )
  }

  port(number: number): Port {
    return this.ports[integer('port', number, 0, this.ports.length - 1)]!
  }

  portsOf(port: number | 'all'): readonly Port[] {
    return port === 'all' ? this.ports : [this.port(port)]
  }

  portsAt(where: Where): readonly Port[] {
    if (where === 'all') return this.ports
    if ('port' in where) return [this.port(where.port)]
    const controller = integer('controller', where.controller, 0, this.#controllers - 1)
    return this.ports.filter((port) => port.controller === controller)
  }

  mappingAt(port: Port, lun: number): Mapping | undefined {
    return this.#luns.get(port)!.get(lun)
  }

  /** What is mapped to these ports, by default to all. */
  mappings(ports: readonly Port[] = this.ports): Mapping[] {
    return ports.flatMap((port) => [...this.#luns.get(port)!.values()])
  }

  mappingsOf(volume: Volume): Mapping[] {
    return this.mappings().filter((mapping) => mapping.volume === volume)
  }

  /** The paths to these ports, by default to all. */
  paths(ports?: readonly Port[]): Connected[] {
    return this.mappings(ports).flatMap(({ paths }) => [...paths])
  }

  volumeStatus(): VolumeStatus[] {
    return this.volumes.map(({ id, size, blockSize, features, store }) => ({
      id,
      size,
      blockSize,
      ...features,
      allocated: store.allocated,
    }))
  }

  portStatus(): PortStatus[] {
    return this.ports.map((port) => {
      const { number, controller, up, hung, slow, commands } = port
      const all = this.mappings([port])
      const luns = all.map(({ lun, volume, access, preferred }) => ({
        lun,
        volume: volume.id,
        access,
        ...(preferred && { preferred }),
      }))
      const paths = all.reduce((sum, mapping) => sum + mapping.paths.size, 0)
      return { number, controller, up, hung, slow, commands, paths, luns }
    })
  }
}
