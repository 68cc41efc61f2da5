import type { Access, VolumeId } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { NetworkHost } from '@blockbraid/wire'
import type { Controller } from './controller/controller.ts'
import { Faults } from './faults/faults.ts'
import type { NamespacePlace } from './namespace/namespaces.ts'
import { ACCESS, MOST_NAMESPACES, placeOf } from './namespace/namespaces.ts'
import { Reservations } from './namespace/reservations.ts'
import type { Mapping } from './namespace/volume.ts'
import { integer, integerIfGiven, oneOf, wrong } from './options/checks.ts'
import type { NvmeArrayOptions, NvmeNamespaceOptions, NvmeReferral } from './options/options.ts'
import type { ArraySettings } from './options/settings.ts'
import { checkReferrals, resolveOptions } from './options/settings.ts'
import type { NvmeArray, NvmeController, NvmeCounters, NvmeLogEntry } from './options/types.ts'
import { Port } from './port.ts'
import { Services } from './services.ts'
import { viewOf } from './view.ts'

/**
 * Starts a simulated array that speaks NVMe/TCP on real sockets. Throws a TypeError that names a wrong option;
 * rejects where an address cannot be had.
 */
export async function createNvmeArray(options: NvmeArrayOptions, host: NetworkHost = systemHost): Promise<NvmeArray> {
  const array = new SimulatedNvmeArray(resolveOptions(options), host)
  const namespaces = options.namespaces ?? []
  const ports = array.ports.length
  const places = namespaces.map((one, number) => placeOf(one, `namespaces[${number}]`, number, ports))
  checkDistinct(places)
  for (const [number, one] of namespaces.entries()) array.place(one, places[number]!)
  await array.listen()
  return array
}

/** The array itself. */
export class SimulatedNvmeArray implements NvmeArray {
  readonly name: string
  readonly ports: readonly Port[]
  readonly faults: Faults
  /** What is left to end after controllers and ports. */
  onClose: () => Promise<void> = async () => {}
  readonly #services: Services

  constructor(settings: ArraySettings, host: NetworkHost) {
    this.name = settings.name
    this.faults = new Faults(host, settings.ports.length, () => this.#retap())
    this.#services = new Services(settings, host, this.faults, () => this.ports)
    const { tls, connectTimeout: timeout } = settings
    const secured = tls === undefined ? undefined : { keyOf: tls, timeout }
    this.ports = settings.ports.map((port, number) => {
      const changed = (): void => this.#services.discoveryChanged()
      const made: Port = new Port(number, port, host, secured, () => this.#services.connectionHost(made), changed)
      return made
    })
  }

  /** Starts to listen at every port. */
  async listen(): Promise<void> {
    try {
      for (const port of this.ports) await port.up()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  get controllers(): readonly NvmeController[] {
    return [...this.#services.live].map(viewOf)
  }

  get counters(): NvmeCounters {
    return this.#services.records
  }

  get violations(): readonly string[] {
    return this.#services.records.violations
  }

  get log(): readonly NvmeLogEntry[] {
    return this.#services.records.log
  }

  get referrals(): readonly NvmeReferral[] {
    return this.#services.referrals
  }

  set referrals(referrals: readonly NvmeReferral[]) {
    this.#services.referrals = checkReferrals(referrals)
    this.#services.discoveryChanged()
  }

  async map(options: NvmeNamespaceOptions): Promise<void> {
    await this.put(options).told
  }

  /** The same at once; `told` settles when every controller has it, or cannot get it. */
  put(options: NvmeNamespaceOptions): { mappings: Mapping[]; told: Promise<unknown> } {
    const mappings = this.place(options, placeOf(options, 'namespace', 0, this.ports.length))
    const told: Promise<void>[] = []
    for (const controller of this.#services.live) {
      const mapping = mappings.find(({ port }) => port === controller.port)
      if (mapping !== undefined && !controller.discovery) told.push(exchange(controller, mapping))
    }
    return { mappings, told: Promise.all(told) }
  }

  async unmap(nsid: number, ports: readonly number[] = this.ports.map(({ number }) => number)): Promise<void> {
    const { namespaces, live } = this.#services
    for (const port of ports) integer('ports', port, 0, this.ports.length - 1)
    for (const port of ports) {
      const mapping = namespaces.unmap(port, nsid)
      if (mapping === undefined) continue
      for (const controller of live) {
        const attachment = controller.attachments.get(nsid)
        if (attachment?.mapping !== mapping) continue
        controller.namespaces.remove(attachment)
        controller.namespaceChanged(nsid)
      }
    }
  }

  setAccess(where: { port?: number; group?: number; volume?: VolumeId }, access: Access): void {
    integerIfGiven('where.port', where.port, 0, this.ports.length - 1)
    integerIfGiven('where.group', where.group, 1, MOST_NAMESPACES)
    oneOf('access', access, ACCESS)
    this.#services.namespaces.setAccess(where, access)
  }

  setGroup(volume: VolumeId, group: number): void {
    const { namespaces } = this.#services
    integer('group', group, 1, MOST_NAMESPACES)
    const { mappings, watchers } = namespaces.get(volume)
    for (const mapping of mappings) mapping.group = namespaces.group(group)
    namespaces.changes++
    for (const watcher of watchers) {
      watcher.changed()
      watcher.accessChanged()
    }
  }

  discoveryChanged(): void {
    this.#services.discoveryChanged()
  }

  reserve(volume: VolumeId, type: number): void {
    if (!Reservations.knows(type)) throw wrong('type', type, 'one from 1 to 6')
    const { reservations } = this.#services.namespaces.get(volume)
    const elsewhere = 'f'.repeat(32)
    reservations.registrants.set(elsewhere, 1n)
    reservations.reserve(elsewhere, type)
  }

  clearReservations(volume: VolumeId): void {
    const { reservations } = this.#services.namespaces.get(volume)
    reservations.registrants.clear()
    reservations.release()
  }

  async close(): Promise<void> {
    await Promise.all(this.ports.map((port) => port.down()))
    await this.#services.close()
    await this.onClose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Puts a volume at an NSID; controllers do not hear of it. */
  place(options: NvmeNamespaceOptions, place: NamespacePlace): Mapping[] {
    return this.#services.namespaces.map(options, place)
  }

  #retap(): void {
    for (const port of this.ports) {
      for (const connection of port.open) connection.out.setTap(this.faults.tapFor(connection))
    }
  }
}

async function exchange(controller: Controller, mapping: Mapping): Promise<void> {
  const old = controller.attachments.get(mapping.nsid)
  if (old !== undefined) controller.namespaces.remove(old)
  // A device that cannot be had just now leaves the NSID empty, for this controller.
  await controller.namespaces.open(mapping).catch(() => {})
  controller.namespaceChanged(mapping.nsid)
}

/** Throws where two namespaces of a list have the same NSID at a port. */
function checkDistinct(places: readonly NamespacePlace[]): void {
  const taken = new Set<string>()
  for (const [number, { nsid, ports }] of places.entries()) {
    for (const port of ports) {
      const place = `${nsid} ${port}`
      if (taken.has(place)) throw wrong(`namespaces[${number}].nsid`, nsid, `one that port ${port} does not have yet`)
      taken.add(place)
    }
  }
}
