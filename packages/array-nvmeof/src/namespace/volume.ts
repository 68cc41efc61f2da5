import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import type { Identifiers } from './ids.ts'
import type { Reservations } from './reservations.ts'

/** Namespaces with one ANA state at each port. */
export interface AnaGroup {
  readonly id: number
  /** By port. */
  readonly access: Access[]
}

/** A controller's view of a volume, for what others do that it has to be told of. */
export interface VolumeWatcher {
  readonly mapping: Mapping
  /** Host ID of its controller, 32 hex digits. */
  readonly hostId: string
  /** CNTLID. */
  readonly controllerId: number
  /** The namespace has changed, other than by its ANA state. */
  changed(): void
  /** The ANA state of its group has changed. */
  accessChanged(): void
  /** A reservation notification (NVMe Base 2.1 §5.1.12.1.31): 1 registration preempted, 2 released, 3 reservation preempted. */
  notify(type: number): void
  /** Commands of the host that another host preempts are aborted; settles when they have ended. */
  abort(): Promise<void>
}

/** A namespace, whatever the ports. */
export interface Volume {
  readonly id: VolumeId
  readonly ids: Identifiers
  readonly optimalBoundary: number
  readonly deallocateZeroes: boolean
  readonly reservations: Reservations
  /** Controllers that see it. */
  readonly watchers: Set<VolumeWatcher>
  /** Where it is, by port. */
  readonly mappings: Set<Mapping>
}

/** A namespace at an NSID of a port. */
export interface Mapping {
  readonly nsid: number
  readonly volume: Volume
  readonly port: number
  /** Its group, whose state holds where the device has none of its own. */
  group: AnaGroup
  /** The device for a controller; one of its own where `owned`. */
  open(hostNqn: string, signal: AbortSignal): Promise<BlockDevice>
  /** Whether each controller has a device of its own, whose `close` fences. */
  readonly owned: boolean
}
