import type { Access, Emitter, Host, TargetEvents, VolumeId } from '@blockbraid/core'
import { BlockError, createEmitter, delay, IoOp, systemHost } from '@blockbraid/core'
import { AccessStates } from './access-states.ts'
import { checksumOf } from './checksum.ts'
import type { CrashImage } from './crash-image.ts'
import { copyOf, crashImage, loseCache } from './crash-image.ts'
import type { Fault, FaultRule } from './fault.ts'
import { resolveFault } from './fault.ts'
import { arrayMark, connectionOf, fenceToken } from './fence-token.ts'
import { Journal } from './journal.ts'
import { lostWrites } from './lost-writes.ts'
import type { Connected, Mapping } from './mapping.ts'
import type { MemoryArrayOptions, ResolvedArray, VolumeChanges, VolumeOptions } from './options.ts'
import {
  duration,
  integer,
  mustBeDistinct,
  object,
  resolveArray,
  resolveChanges,
  resolveVolume,
  volumeSize,
  wrong,
} from './options.ts'
import { Pacer } from './pacer.ts'
import type { PathHost } from './path.ts'
import { MemoryPath } from './path.ts'
import { Port } from './port.ts'
import { runCommand } from './script.ts'
import type { Size } from './sizes.ts'
import { tellAll } from './tell.ts'
import { Topology } from './topology.ts'
import type {
  CacheLossOptions,
  MemoryArray,
  PortStatus,
  Registration,
  VolumeRef,
  VolumeStatus,
  Where,
} from './types.ts'
import type { Volume } from './volume.ts'

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
  readonly transitionTime: number | undefined
  readonly host: Host
  readonly #topology: Topology
  readonly #access: AccessStates
  readonly #mark: string
  /** Paths that may have something in the array, by their connection. */
  readonly #paths = new Map<number, MemoryPath>()
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
    for (const volume of options.volumes) this.#topology.add(volume)
    this.transitionTime = options.transitionTime
    this.#access = new AccessStates(this.#topology, host.clock, options.transitionDelay)
    this.#mark = arrayMark(options.name)
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

  get cacheLosses() {
    return this.journal?.losses ?? []
  }

  addVolume(options: VolumeOptions): VolumeId {
    const volume = resolveVolume('volume', options, this.name, this.#topology.volumes.length)
    mustBeDistinct('volume.id', volume, this.#topology.volumes)
    this.#topology.add(volume)
    this.#changed(`${volume.id} was added`)
    return volume.id
  }

  grow(volume: VolumeRef, size: Size): void {
    const grown = this.#topology.volume(volume)
    const bytes = volumeSize('size', size, grown.blockSize)
    if (bytes <= grown.size) throw wrong('size', size, `more than the present ${grown.size} bytes`)
    this.#resize(grown, bytes, 'grown')
  }

  change(volume: VolumeRef, changes: VolumeChanges): void {
    const changed = this.#topology.volume(volume)
    const { size, features } = resolveChanges(changes, changed)
    changed.features = features
    if (size !== changed.size) this.#resize(changed, size, size > changed.size ? 'grown' : 'shrunk')
    else tellAll(this.#pathsOf(changed), (path) => path.limitsChanged())
  }

  setWriteCache(volume: VolumeRef, on: boolean): void {
    this.change(volume, { writeCache: on })
  }

  protect(volume: VolumeRef, port: number | 'all', on: boolean): void {
    const changed = this.#topology.volume(volume)
    if (typeof on !== 'boolean') throw wrong('on', on, 'true or false')
    const ports = this.#topology.portsOf(port)
    const mappings = this.#topology
      .mappingsOf(changed)
      .filter((one) => ports.includes(one.port) && one.isProtected !== on)
    for (const mapping of mappings) mapping.isProtected = on
    const paths = mappings.flatMap((mapping) => [...mapping.paths])
    for (const path of paths) path.refresh()
    tellAll(paths, (path) => path.limitsChanged())
  }

  map(volume: VolumeRef, port: number | 'all', lun?: number): void {
    const mapped = this.#topology.volume(volume)
    if (lun !== undefined) integer('lun', lun, 0, 65_535)
    const ports = this.#topology.portsOf(port)
    for (const one of ports) {
      if (lun === undefined || this.#topology.mappingAt(one, lun) === undefined) continue
      throw wrong('lun', lun, `free on port ${one.number}`)
    }
    for (const one of ports) this.#topology.map(mapped, one, lun)
    this.#changed(`${mapped.id} was mapped`)
  }

  unmap(volume: VolumeRef, port: number | 'all'): void {
    const unmapped = this.#topology.volume(volume)
    for (const mapping of this.#topology.mappings(this.#topology.portsOf(port))) {
      if (mapping.volume !== unmapped) continue
      const { number } = mapping.port
      this.#end(mapping, new BlockError('NOT_FOUND', `${unmapped.id} was unmapped from port ${number}`))
    }
    this.#changed(`${unmapped.id} was unmapped`)
  }

  reuseLun(port: number, lun: number, volume: VolumeRef): void {
    const one = this.#topology.port(port)
    const next = this.#topology.volume(volume)
    const old = this.#topology.mappingAt(one, lun)
    if (old === undefined) throw wrong('lun', lun, `in use on port ${port}`)
    this.#end(old, new BlockError('IDENTITY_CHANGED', `lun ${lun} of port ${port} is ${next.id} now`))
    this.#topology.map(next, one, lun)
    this.#changed(`lun ${lun} of port ${port} was given to ${next.id}`)
  }

  setAccess(volume: VolumeRef | 'all', where: Where, access: Access): void {
    if (!ACCESSES.includes(access)) throw wrong('access', access, ACCESSES.join(', '))
    this.#access.set(this.#mappingsAt(volume, where), () => access)
  }

  prefer(volume: VolumeRef | 'all', where: Where, on: boolean): void {
    if (typeof on !== 'boolean') throw wrong('on', on, 'true or false')
    this.#access.prefer(this.#mappingsAt(volume, where), on)
  }

  take(volume: VolumeRef, where: Where): void {
    const [mapping] = this.#mappingsAt(volume, where)
    if (mapping === undefined) throw wrong('where', JSON.stringify(where), 'where the volume is mapped')
    this.#access.activate(mapping)
  }

  /** What is mapped there, of one volume or of all. */
  #mappingsAt(volume: VolumeRef | 'all', where: Where): Mapping[] {
    const only = volume === 'all' ? undefined : this.#topology.volume(volume)
    const mappings = this.#topology.mappings(this.#topology.portsAt(where))
    return mappings.filter((mapping) => only === undefined || mapping.volume === only)
  }

  activate(mapping: Mapping): void {
    this.#access.activate(mapping)
  }

  portDown(port: number): void {
    const one = this.#topology.port(port)
    one.up = false
    const failure = new BlockError('CONNECT_FAILED', `port ${port} of ${this.name} is down`)
    for (const path of this.#topology.paths([one])) path.fail(failure, true)
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
    try {
      this.#topology.port(port).release()
    } finally {
      this.#refresh()
    }
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

  loseCache(volume: VolumeRef, options: CacheLossOptions = {}): void {
    const given = object('options', options, ['late', 'random'])
    const late = lateness(given['late'] ?? false, this.#topology)
    const lost = this.#topology.volume(volume)
    this.#loseCache(lost, options.random)
    const paths = this.#pathsOf(lost)
    for (const path of paths) path.cacheLost(`the cache of ${lost.id} was lost`)
    tellAll(paths, (path) => {
      const { port } = path.mapping
      if (port.up && !port.hung && !late(port)) path.tellNews()
    })
  }

  powerLoss(random: () => number = this.random): void {
    this.#logged()
    const failure = new BlockError('CONNECT_FAILED', `${this.name} has lost power`)
    for (const port of this.#topology.ports) {
      port.up = false
      port.hung = false
      for (const path of this.#topology.paths([port])) path.fail(failure, false)
      port.abort()
      port.notify()
    }
    for (const volume of this.#topology.volumes) this.#loseCache(volume, random)
    this.#refresh()
  }

  powerOn(): void {
    for (const port of this.#topology.ports) this.portUp(port.number)
  }

  fail(rule: FaultRule): () => void {
    const fault = resolveFault(rule, {
      port: (number) => this.#topology.port(number).number,
      volume: (ref) => this.#topology.volume(ref).number,
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
    const answers = this.#topology.ports.some(({ up, hung }) => up && !hung)
    return answers ? this.#topology.mappings() : undefined
  }

  /** What is mapped at a LUN of a port, if anything is. */
  mappingAt(port: Port, lun: number): Mapping | undefined {
    return this.#topology.mappingAt(port, lun)
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
    const connection = ++this.#connections
    const token = fenceToken(this.#mark, connection)
    const path = new MemoryPath(this, { id, connection, fenceToken: token, initiator, mapping, owned })
    this.#paths.set(connection, path)
    return path
  }

  faultsOf(mapping: Mapping): readonly Fault[] {
    if (this.#faults.length === 0) return this.#faults
    return this.#faults.filter(
      ({ port, volume }) =>
        (port === undefined || port === mapping.port.number) &&
        (volume === undefined || volume === mapping.volume.number),
    )
  }

  async fenceTime(): Promise<void> {
    if (this.#fenceDelay > 0) await delay(this.host.clock, this.#fenceDelay / 1000)
    while (this.#stuck !== undefined) await this.#stuck
  }

  forget(path: MemoryPath): void {
    this.#paths.delete(path.connection)
  }

  /** See `Target.fence`: the connection ends, if it has not, and what it has left in the array with it. */
  async fence(token: string): Promise<void> {
    const path = this.#paths.get(connectionOf(token, this.#mark, this.#connections))
    if (path === undefined) return
    path.fail(new BlockError('CONNECT_FAILED', `connection ${path.connection} was ended by a fence`), true)
    await this.fenceTime()
    path.leave()
  }

  #pathsOf(volume: Volume): Connected[] {
    return this.#topology.mappingsOf(volume).flatMap(({ paths }) => [...paths])
  }

  #resize(volume: Volume, size: number, how: string): void {
    const before = volume.size
    volume.size = size
    if (size < before) {
      volume.store.zero(size, before - size, false)
      this.journal?.ownDoing(IoOp.Trim, volume, size, before - size)
    }
    try {
      tellAll(this.#pathsOf(volume), (path) => path.limitsChanged())
    } finally {
      this.#changed(`${volume.id} has ${how} to ${size} bytes`)
    }
  }

  #loseCache(volume: Volume, random: () => number = this.random): void {
    const lost = loseCache(this.#logged(), volume, random)
    volume.resets++
    this.journal!.losses.push({ volume: volume.id, volumeNumber: volume.number, moment: this.journal!.tick(), lost })
  }

  #end(mapping: Mapping, failure: BlockError): void {
    this.#topology.unmap(mapping)
    for (const path of mapping.paths) {
      path.fail(failure, false)
      mapping.port.abort(path)
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

/** Whether the paths of a port hear late of a lost cache. */
function lateness(late: unknown, topology: Topology): (port: Port) => boolean {
  if (typeof late === 'boolean') return () => late
  if (!Array.isArray(late)) throw wrong('options.late', late, 'true, false, or a list of ports')
  const ports = late.map((number) => topology.port(number))
  return (port) => ports.includes(port)
}
