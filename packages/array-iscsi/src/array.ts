import type { Access, VolumeId } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { NetworkHost } from '@blockbraid/wire'
import { integer, integerIfGiven, oneOf, wrong } from './checks.ts'
import { Faults } from './faults/faults.ts'
import type { IscsiArrayOptions, IscsiLunOptions } from './options.ts'
import { Portal } from './portal.ts'
import { Records } from './records.ts'
import { Attention } from './scsi/outcome.ts'
import { Reservations } from './scsi/reservations.ts'
import type { Mapping, TargetPort, Unit } from './scsi/unit.ts'
import { Services } from './services.ts'
import { sendWindow } from './session/control.ts'
import type { Session } from './session/session.ts'
import type { ArraySettings, LunPlace } from './settings.ts'
import { ACCESS, checkDistinct, resolveLun, resolveOptions } from './settings.ts'
import type { IscsiArray, IscsiCounters, IscsiLogEntry, IscsiSession } from './types.ts'
import { openerOf, Units } from './units.ts'
import { viewOf } from './view.ts'

/**
 * Starts a simulated array that speaks iSCSI on real sockets. Throws a TypeError that names a wrong option;
 * rejects where an address cannot be had.
 */
export async function createIscsiArray(
  options: IscsiArrayOptions,
  host: NetworkHost = systemHost,
): Promise<IscsiArray> {
  const array = new SimulatedIscsiArray(resolveOptions(options), host)
  const luns = options.luns ?? []
  const places = luns.map((lun, number) => resolveLun(lun, `luns[${number}]`, number, array.portals.length))
  checkDistinct(places)
  for (const [number, lun] of luns.entries()) array.place(lun, places[number]!)
  await array.listen()
  return array
}

/** The array itself. */
export class SimulatedIscsiArray implements IscsiArray {
  readonly name: string
  readonly portals: readonly Portal[]
  readonly faults: Faults
  /** What is left to end after sessions and portals. */
  onClose: () => Promise<void> = async () => {}
  readonly #units: Units
  readonly #records = new Records()
  readonly #services: Services

  constructor(settings: ArraySettings, host: NetworkHost) {
    this.name = settings.name
    this.#units = new Units(settings.portals.length, settings.descriptorSense)
    this.faults = new Faults(host, settings.portals.length, () => this.#retap())
    this.#services = new Services(settings, host, {
      units: this.#units,
      faults: this.faults,
      records: this.#records,
      portals: () => this.portals,
    })
    this.portals = settings.portals.map((portal, number) => {
      const made: Portal = new Portal(number, portal, host, () => this.#services.connectionHost(made))
      return made
    })
  }

  /** Starts to listen at every portal. */
  async listen(): Promise<void> {
    try {
      for (const portal of this.portals) await portal.up()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  get sessions(): readonly IscsiSession[] {
    const { logins } = this.#services
    return [...logins.live()].map((session) => viewOf(session, logins.connectionOf(session)!))
  }

  get counters(): IscsiCounters {
    return this.#records
  }

  get violations(): readonly string[] {
    return this.#records.violations
  }

  get log(): readonly IscsiLogEntry[] {
    return this.#records.log
  }

  async map(options: IscsiLunOptions): Promise<void> {
    await this.put(options).told
  }

  /** The same at once; `told` settles when every session has it, or cannot get it. */
  put(options: IscsiLunOptions): { mappings: Mapping[]; told: Promise<unknown> } {
    const mappings = this.place(options, resolveLun(options, 'lun', 0, this.portals.length))
    const told: Promise<void>[] = []
    for (const session of this.#services.logins.live()) {
      const mapping = mappings.find(({ portal }) => portal.number === session.identity.portal)
      if (mapping !== undefined && !session.identity.discovery) told.push(this.#exchange(session, mapping))
    }
    return { mappings, told: Promise.all(told) }
  }

  async unmap(lun: number, portals: readonly number[] = this.portals.map(({ number }) => number)): Promise<void> {
    const { logins } = this.#services
    for (const portal of portals) integer('portals', portal, 0, this.portals.length - 1)
    for (const portal of portals) {
      const mapping = this.#units.unmap(portal, lun)
      if (mapping === undefined) continue
      for (const session of logins.live()) {
        const nexus = session.nexuses.get(lun)
        if (nexus?.mapping === mapping) logins.detach(session, nexus)
        if (session.identity.portal === portal) lunsChanged(session)
      }
    }
  }

  setAccess(where: { portal?: number; group?: number; volume?: VolumeId }, access: Access): void {
    oneOf('access', access, ACCESS)
    this.#units.setAccess(this.#at(where), access)
  }

  prefer(where: { portal?: number; group?: number; volume?: VolumeId }, on: boolean): void {
    oneOf('on', on, [true, false])
    this.#units.prefer(this.#at(where), on)
  }

  #at({ portal, group, volume }: { portal?: number; group?: number; volume?: VolumeId }) {
    integerIfGiven('where.portal', portal, 0, this.portals.length - 1)
    return (port: TargetPort, unit: Unit): boolean =>
      (portal === undefined || portal === port.number) &&
      (group === undefined || group === port.group) &&
      (volume === undefined || volume === unit.volume)
  }

  attention(volume: VolumeId | 'all', code: number): void {
    for (const unit of this.#units.all) {
      if (volume === 'all' || unit.volume === volume) for (const nexus of unit.nexuses) nexus.raise(code)
    }
  }

  reserve(volume: VolumeId, type: number): void {
    if (!Reservations.knows(type)) throw wrong('type', type, 'one of 1, 3, 5, 6, 7 and 8')
    const { reservations } = this.#unit(volume)
    const name = 'a host elsewhere'
    reservations.registrations.set(name, { name, initiatorPort: `${this.name}.other,i,0x0`, portal: 0, key: 1n })
    reservations.reserve(name, type)
  }

  clearReservations(volume: VolumeId): void {
    const { reservations } = this.#unit(volume)
    reservations.registrations.clear()
    reservations.release()
  }

  setWindowOpen(open: boolean): void {
    this.#services.windowOpen = open
    for (const session of this.#services.logins.live()) {
      session.window.setOpen(open)
      if (open) sendWindow(session)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.portals.map((portal) => portal.down()))
    await this.#services.logins.close()
    await this.onClose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Puts a volume at a LUN; sessions do not hear of it. */
  place(options: IscsiLunOptions, { lun, portals, access }: LunPlace): Mapping[] {
    const unit = this.#units.unit(options)
    return portals.map((portal) => {
      const mapping: Mapping = {
        lun,
        unit,
        portal: this.portals[portal]!,
        access,
        preferred: options.preferred ?? false,
        ...openerOf(options, portal),
      }
      this.#units.map(mapping)
      return mapping
    })
  }

  #unit(volume: VolumeId): Unit {
    const unit = this.#units.get(volume)
    if (unit === undefined) throw wrong('volume', volume, 'the identity of a volume that is mapped')
    return unit
  }

  async #exchange(session: Session, mapping: Mapping): Promise<void> {
    const { logins } = this.#services
    const old = session.nexuses.get(mapping.lun)
    if (old !== undefined) logins.detach(session, old)
    const connection = logins.connectionOf(session)!
    // A device that cannot be had just now leaves the LUN empty, for this session.
    const nexus = await logins.attach(session, mapping, connection.signal).catch(() => undefined)
    if (old !== undefined && old.mapping.unit !== mapping.unit) nexus?.raise(Attention.inquiryChanged)
    lunsChanged(session)
  }

  #retap(): void {
    for (const portal of this.portals) {
      for (const connection of portal.open) connection.out.setTap(this.faults.tapFor(connection))
    }
  }
}

function lunsChanged(session: Session): void {
  for (const nexus of session.nexuses.values()) nexus.raise(Attention.lunsChanged)
}
