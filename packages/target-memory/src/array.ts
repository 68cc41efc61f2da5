import type { Access, Emitter, Host, TargetEvents, VolumeId } from '@blockbraid/core'
import { BlockError, createEmitter, delay, systemHost } from '@blockbraid/core'
import { checksumOf } from './checksum.ts'
import type { CrashImage } from './crash-image.ts'
import { copyOf, crashImage, lostWrites } from './crash-image.ts'
import type { Fault, FaultRule } from './fault.ts'
import { resolveFault } from './fault.ts'
import { Journal } from './journal.ts'
import type { Mapping } from './mapping.ts'
import type { MemoryArrayOptions, ResolvedArray, VolumeOptions } from './options.ts'
import { duration, integer, resolveArray, resolveVolume, volumeSize, wrong } from './options.ts'
import { Pacer } from './pacer.ts'
import type { PathHost } from './path.ts'
import { MemoryPath } from './path.ts'
import { Port } from './port.ts'
import { runCommand } from './script.ts'
import type { Size } from './sizes.ts'
import { Topology } from './topology.ts'
import type { MemoryArray, PortStatus, Registration, VolumeRef, VolumeStatus, Where } from './types.ts'
import { Volume } from './volume.ts'

const ACCESSES: readonly Access[] = ['optimized', 'non-optimized', 'standby', 'unavailable', 'transitioning']

/** Makes a simulated array; throws a TypeError that names a wrong option. */
export function createMemoryArray(options: MemoryArrayOptions = {}, host: Host = systemHost): MemoryArray {
  return new SimulatedArray(resolveArray(options), host)
}

/** The array, with what its targets need of it. */
export class SimulatedArray implements MemoryArray, PathHost {
  readonly name: string
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly registrations: Registration[] = []
  readonly pacer: Pacer
  readonly random: () => number
  readonly journal: Journal | null
  readonly maxTransfer: number
  readonly host: Host
  readonly #topology: Topology
  readonly #fenceDelay: number
  #faults: readonly Fault[] = []
  #stuck: Promise<void> | undefined
  #free: (() => void) | undefined
  #connections = 0

  constructor(options: ResolvedArray, host: Host) {
    this.name = options.name
    this.host = host
    this.pacer = new Pacer(host.clock)
    this.random = host.random
    this.journal = options.log ? new Journal() : null
    this.maxTransfer = options.maxTransfer
    this.#fenceDelay = options.fenceDelay
    const ports = options.ports.map((port, number) => new Port(number, port, host.clock, host.random, this.journal))
    this.#topology = new Topology(options.name, options.controllers, ports)
    for (const volume of options.volumes) this.#topology.add(new Volume(volume))
  }

  get volumes(): readonly VolumeStatus[] {
    return this.#topology.volumeStatus()
  }

  get ports(): readonly PortStatus[] {
    return this.#topology.portStatus()
  }

  get log() {
    return this.journal?.entries ?? []
  }

  addVolume(options: VolumeOptions): VolumeId {
    const volume = new Volume(resolveVolume('volume', options, this.name, this.#topology.volumes.length))
    if (this.#topology.volumes.some(({ id }) => id === volume.id))
      throw wrong('volume.id', volume.id, 'the identity of no other')
    this.#topology.add(volume)
    this.#changed(`${volume.id} was added`)
    return volume.id
  }

  grow(volume: VolumeRef, size: Size): void {
    const grown = this.#topology.volume(volume)
    const bytes = volumeSize('size', size, grown.blockSize)
    if (bytes <= grown.size) throw wrong('size', size, `more than the present ${grown.size} bytes`)
    grown.size = bytes
    for (const mapping of this.#topology.mappingsOf(grown)) for (const path of mapping.paths) path.limitsChanged()
    this.#changed(`${grown.id} has grown to ${bytes} bytes`)
  }

  setWriteCache(volume: VolumeRef, on: boolean): void {
    const switched = this.#topology.volume(volume)
    switched.writeCache = on
    for (const mapping of this.#topology.mappingsOf(switched)) for (const path of mapping.paths) path.limitsChanged()
  }

  map(volume: VolumeRef, port: number | 'all', lun?: number): void {
    const mapped = this.#topology.volume(volume)
    if (lun !== undefined) integer('lun', lun, 0, 65_535)
    const ports = this.#topology.portsOf(port)
    for (const one of ports) {
      if (lun !== undefined && one.mappings.has(lun)) throw wrong('lun', lun, `free on port ${one.number}`)
    }
    for (const one of ports) this.#topology.map(mapped, one, lun)
    this.#changed(`${mapped.id} was mapped`)
  }

  unmap(volume: VolumeRef, port: number | 'all'): void {
    const unmapped = this.#topology.volume(volume)
    for (const one of this.#topology.portsOf(port)) {
      for (const mapping of one.mappings.values()) {
        if (mapping.volume !== unmapped) continue
        this.#end(mapping, new BlockError('NOT_FOUND', `${unmapped.id} was unmapped from port ${one.number}`))
      }
    }
    this.#changed(`${unmapped.id} was unmapped`)
  }

  reuseLun(port: number, lun: number, volume: VolumeRef): void {
    const one = this.#topology.port(port)
    const next = this.#topology.volume(volume)
    const old = one.mappings.get(lun)
    if (old === undefined) throw wrong('lun', lun, `in use on port ${port}`)
    this.#end(old, new BlockError('IDENTITY_CHANGED', `lun ${lun} of port ${port} is ${next.id} now`))
    this.#topology.map(next, one, lun)
    this.#changed(`lun ${lun} of port ${port} was given to ${next.id}`)
  }

  setAccess(volume: VolumeRef | 'all', where: Where, access: Access): void {
    if (!ACCESSES.includes(access)) throw wrong('access', access, ACCESSES.join(', '))
    const only = volume === 'all' ? undefined : this.#topology.volume(volume)
    for (const port of this.#topology.portsAt(where)) {
      for (const mapping of port.mappings.values()) {
        if (only === undefined || mapping.volume === only) this.#setAccess(mapping, access)
      }
    }
  }

  /** Explicit ALUA: the path's controller becomes optimized; those that were so become what it was. */
  activate(mapping: Mapping): void {
    const before = mapping.access
    const least = before === 'standby' ? 'standby' : 'non-optimized'
    if (before === 'optimized') return
    for (const other of this.#topology.mappingsOf(mapping.volume)) {
      if (other.port.controller === mapping.port.controller) this.#setAccess(other, 'optimized')
      else if (other.access === 'optimized') this.#setAccess(other, least)
    }
  }

  portDown(port: number): void {
    const one = this.#topology.port(port)
    one.up = false
    const failure = new BlockError('CONNECT_FAILED', `port ${port} of ${this.name} is down`)
    for (const mapping of one.mappings.values()) for (const path of mapping.paths) path.fail(failure, true)
    one.notify()
  }

  portUp(port: number): void {
    const one = this.#topology.port(port)
    if (one.up) return
    one.up = true
    this.#changed(`port ${port} came up`)
  }

  hang(port: number): void {
    this.#topology.port(port).hung = true
    this.#refresh()
  }

  release(port: number): void {
    this.#topology.port(port).release()
    this.#refresh()
  }

  slow(port: number, extra: number): void {
    this.#topology.port(port).slow = duration('extra', extra)
    this.#refresh()
  }

  controllerDown(controller: number): void {
    for (const port of this.#topology.portsAt({ controller })) this.portDown(port.number)
  }

  controllerUp(controller: number): void {
    for (const port of this.#topology.portsAt({ controller })) this.portUp(port.number)
  }

  fail(rule: FaultRule): () => void {
    const fault = resolveFault(rule, {
      port: (number) => this.#topology.port(number).number,
      volume: (ref) => this.#topology.volume(ref).id,
    })
    this.#faults = [...this.#faults, fault]
    this.#refresh()
    return () => {
      this.#faults = this.#faults.filter((other) => other !== fault)
      this.#refresh()
    }
  }

  heal(): void {
    this.#faults = []
    this.#refresh()
  }

  stickFences(): void {
    this.#stuck ??= new Promise((resolve) => {
      this.#free = resolve
    })
  }

  freeFences(): void {
    this.#stuck = undefined
    this.#free?.()
  }

  run(command: string): void {
    runCommand(this, command)
  }

  peek(volume: VolumeRef, offset: number, length: number): Uint8Array {
    const { store, size } = this.#topology.volume(volume)
    return copyOf(store, size, offset, length)
  }

  checksum(volume: VolumeRef): string {
    const { store, size } = this.#topology.volume(volume)
    return checksumOf(store, size)
  }

  crashImage(volume: VolumeRef, random: () => number = this.random): CrashImage {
    return crashImage(this.#logged(), this.#topology.volume(volume), random)
  }

  lostWrites(volume: VolumeRef, image: { read(offset: number, length: number): Uint8Array }): string[] {
    return lostWrites(this.#logged(), this.#topology.volume(volume), image)
  }

  /** What is mapped, as any port tells of all; undefined where no port answers. */
  mappings(): Mapping[] | undefined {
    const { ports } = this.#topology
    if (!ports.some(({ up, hung }) => up && !hung)) return undefined
    return ports.flatMap(({ mappings }) => [...mappings.values()])
  }

  /** The port of that number, if there is one. */
  portAt(number: number): Port | undefined {
    return this.#topology.ports[number]
  }

  /** Wakes everything that waits for a port. */
  notify(): void {
    for (const port of this.#topology.ports) port.notify()
  }

  /** Opens a path for a host, and registers the host where it is new; the path is in `owned` while it lives. */
  connect(mapping: Mapping, initiator: string, id: string, owned: Set<MemoryPath>): MemoryPath {
    const registration = { initiator, port: mapping.port.number, volume: mapping.volume.id }
    const known = this.registrations.some(
      (other) =>
        other.initiator === initiator && other.port === registration.port && other.volume === registration.volume,
    )
    if (!known) this.registrations.push(registration)
    return new MemoryPath(this, id, ++this.#connections, mapping, owned)
  }

  faultsOf(mapping: Mapping): readonly Fault[] {
    if (this.#faults.length === 0) return this.#faults
    return this.#faults.filter(
      ({ port, volume }) =>
        (port === undefined || port === mapping.port.number) && (volume === undefined || volume === mapping.volume.id),
    )
  }

  /** Settles when nothing that `path` has sent can be executed any more. */
  async fence(path: MemoryPath): Promise<void> {
    if (this.#fenceDelay > 0) await delay(this.host.clock, this.#fenceDelay / 1000)
    while (this.#stuck !== undefined) await this.#stuck
    path.mapping.port.abort(path)
  }

  #end(mapping: Mapping, failure: BlockError): void {
    mapping.port.mappings.delete(mapping.lun)
    for (const path of mapping.paths) path.fail(failure, false)
  }

  #setAccess(mapping: Mapping, access: Access): void {
    if (mapping.access === access) return
    mapping.access = access
    for (const path of mapping.paths) {
      path.refresh()
      path.accessChanged()
    }
  }

  #refresh(): void {
    for (const path of this.#topology.paths()) path.refresh()
  }

  #changed(why: string): void {
    this.events.emit('changed', why)
  }

  #logged() {
    if (this.journal === null) throw new TypeError('log is false; it must be true in the options for a crash image')
    return this.journal.entries
  }
}
