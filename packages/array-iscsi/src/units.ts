import { createHash } from 'node:crypto'
import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import type { IscsiLunOptions } from './options.ts'
import { Reservations } from './scsi/reservations.ts'
import { TaskSet } from './scsi/task-set.ts'
import type { Mapping, TargetPort, Unit } from './scsi/unit.ts'

/** What is at which LUN of which portal. */
export class Units {
  readonly #units = new Map<VolumeId, Unit>()
  readonly #ports: readonly Map<number, Mapping>[]
  readonly #descriptorSense: boolean

  constructor(portals: number, descriptorSense: boolean) {
    this.#ports = Array.from({ length: portals }, () => new Map())
    this.#descriptorSense = descriptorSense
  }

  get all(): Iterable<Unit> {
    return this.#units.values()
  }

  get(volume: VolumeId): Unit | undefined {
    return this.#units.get(volume)
  }

  /** Mappings of a portal, by LUN. */
  of(portal: number): ReadonlyMap<number, Mapping> {
    return this.#ports[portal]!
  }

  /** The unit of a volume, made where it is new. */
  unit(options: IscsiLunOptions): Unit {
    const known = this.#units.get(options.volume)
    if (known !== undefined) return known
    const unit: Unit = {
      volume: options.volume,
      vendor: options.vendor ?? 'BLKBRAID',
      product: options.product ?? 'SIMULATED ARRAY',
      revision: options.revision ?? '1',
      serial: options.serial ?? createHash('sha256').update(options.volume).digest('hex').slice(0, 20),
      reservations: new Reservations(),
      taskSet: new TaskSet(),
      nexuses: new Set(),
      mappings: new Set(),
      descriptorSense: this.#descriptorSense,
      unmapZeroes: options.unmapZeroes ?? true,
      designators: options.designators === undefined ? undefined : Buffer.from(options.designators),
    }
    this.#units.set(options.volume, unit)
    return unit
  }

  /** Puts a unit at a LUN of a portal, in place of what was there. */
  map(mapping: Mapping): void {
    const port = this.#ports[mapping.portal.number]!
    const old = port.get(mapping.lun)
    if (old !== undefined) this.#forget(old)
    port.set(mapping.lun, mapping)
    mapping.unit.mappings.add(mapping)
  }

  /** Takes what is at a LUN of a portal away, and returns it. */
  unmap(portal: number, lun: number): Mapping | undefined {
    const mapping = this.#ports[portal]!.get(lun)
    if (mapping === undefined) return undefined
    this.#ports[portal]!.delete(lun)
    this.#forget(mapping)
    return mapping
  }

  /** Sets the access state at every mapping that `which` names. */
  setAccess(which: (port: TargetPort, unit: Unit) => boolean, access: Access): void {
    this.#change(which, (mapping) => {
      const before = mapping.access
      mapping.access = access
      return access !== before
    })
  }

  /** Sets whether the ports of every mapping that `which` names are preferred. */
  prefer(which: (port: TargetPort, unit: Unit) => boolean, on: boolean): void {
    this.#change(which, (mapping) => {
      const before = mapping.preferred
      mapping.preferred = on
      return on !== before
    })
  }

  #change(which: (port: TargetPort, unit: Unit) => boolean, change: (mapping: Mapping) => boolean): void {
    for (const unit of this.#units.values()) {
      const changed = [...unit.mappings].filter((one) => which(one.portal, unit)).filter(change)
      // A session also hears of a change to other ports than its own.
      if (changed.length > 0) for (const nexus of unit.nexuses) nexus.accessChanged()
    }
  }

  #forget(mapping: Mapping): void {
    mapping.unit.mappings.delete(mapping)
    if (mapping.unit.mappings.size === 0) this.#units.delete(mapping.unit.volume)
  }
}

/** How sessions get the device of a LUN: `owned` where each has its own. */
export function openerOf(options: IscsiLunOptions, portal: number): { owned: boolean; open: Mapping['open'] } {
  const { device } = options
  if (typeof device === 'function') {
    return { owned: true, open: (initiator, signal) => device(portal, initiator, signal) }
  }
  const one: BlockDevice = Array.isArray(device) ? device[portal] : device
  return { owned: false, open: () => Promise.resolve(one) }
}
