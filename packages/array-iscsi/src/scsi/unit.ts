import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import type { Reservations } from './reservations.ts'
import type { TaskSet } from './task-set.ts'

/** A portal as commands see it: a target port. */
export interface TargetPort {
  /** Its number, from 0; its relative target port identifier is one more. */
  readonly number: number
  /** Target port group, as ALUA and as iSCSI portal group tag. */
  readonly group: number
}

/** A session's view of a unit, for what others do that it has to be told of. */
export interface UnitWatcher {
  /** Name of the nexus, which reservations are held by. */
  readonly name: string
  /** Queues a unit attention: ASC << 8 | ASCQ. */
  raise(attention: number): void
  /** The access state changed at a port of the unit. */
  accessChanged(): void
}

/** A logical unit: a volume, whatever the portals. */
export interface Unit {
  readonly volume: VolumeId
  readonly vendor: string
  readonly product: string
  readonly revision: string
  /** Unit serial number. */
  readonly serial: string
  readonly reservations: Reservations
  /** What it executes, of all sessions. */
  readonly taskSet: TaskSet
  /** Sessions that see it. */
  readonly nexuses: Set<UnitWatcher>
  /** Where it is mapped, by portal. */
  readonly mappings: Set<Mapping>
  /** Sense data in descriptor format. */
  descriptorSense: boolean
  /** What UNMAP leaves reads as zeroes. */
  readonly unmapZeroes: boolean
  /** Designation descriptors to tell instead of the one of `volume`. */
  readonly designators: Buffer | undefined
}

/** A logical unit at a LUN of a portal. */
export interface Mapping {
  readonly lun: number
  readonly unit: Unit
  readonly portal: TargetPort
  /** Access state that holds where the device has none of its own. */
  access: Access
  /** Whether the array would rather have its portal used. */
  preferred: boolean
  /** The device for a session; one of its own where `owned`. */
  open(initiator: string, signal: AbortSignal): Promise<BlockDevice>
  /** Whether each session has a device of its own, whose `close` fences. */
  readonly owned: boolean
  /** Sets the access state where the device has one (SET TARGET PORT GROUPS). */
  setAccess?: ((access: Access) => Promise<void>) | undefined
}
