import type { Access, BlockDevice, DeviceLimits, Path } from '@blockbraid/core'
import type { Mapping } from './volume.ts'

/** A namespace as one controller sees it. */
export class Attachment {
  readonly mapping: Mapping
  readonly device: BlockDevice
  /** The namespace is no longer here. */
  gone = false
  /** The device where it tells of its own access state. */
  readonly path: Path | undefined
  #limits: DeviceLimits

  constructor(mapping: Mapping, device: BlockDevice) {
    this.mapping = mapping
    this.device = device
    this.path = 'access' in device && 'events' in device ? (device as Path) : undefined
    this.#limits = device.limits
  }

  /** Access state through this port. */
  get access(): Access {
    return this.path?.access ?? this.mapping.group.access[this.mapping.port]!
  }

  /** Whether the device has other limits than when it was asked last. */
  get stale(): boolean {
    return this.device.limits !== this.#limits
  }

  /** Whether the limits are others than when it was asked last. */
  noticeLimits(): boolean {
    if (!this.stale) return false
    const before = this.#limits
    this.#limits = this.device.limits
    const now = this.#limits
    return before.size !== now.size || before.readOnly !== now.readOnly || before.writeCache !== now.writeCache
  }
}
