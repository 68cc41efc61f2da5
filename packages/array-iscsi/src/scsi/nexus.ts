import type { Access, BlockDevice, DeviceLimits, Path } from '@blockbraid/core'
import type { Outcome } from './outcome.ts'
import { Attention, check } from './outcome.ts'
import type { Mapping, UnitWatcher } from './unit.ts'

/** A logical unit as one session sees it: its device, and what it has to be told. */
export class Nexus implements UnitWatcher {
  readonly mapping: Mapping
  readonly device: BlockDevice
  /** Name of the initiator port and the target port: what reservations are held by. */
  readonly name: string
  /** Name of the initiator port alone. */
  readonly initiatorPort: string
  /** The unit is no longer mapped here. */
  gone = false
  readonly #path: Path | undefined
  #limits: DeviceLimits
  #access: Access
  #attentions: number[] = []

  constructor(mapping: Mapping, device: BlockDevice, initiatorPort: string) {
    this.mapping = mapping
    this.device = device
    this.initiatorPort = initiatorPort
    this.name = `${initiatorPort},${mapping.portal.number}`
    this.#path = 'access' in device && 'events' in device ? (device as Path) : undefined
    this.#limits = device.limits
    this.#access = this.access
  }

  get limits(): DeviceLimits {
    return this.device.limits
  }

  /** Access state through this portal. */
  get access(): Access {
    return this.#path?.access ?? this.mapping.access
  }

  /** Whether something is to be told; notices what has changed by itself. */
  get attentive(): boolean {
    if (this.device.limits !== this.#limits) this.#noticeLimits()
    if (this.access !== this.#access) {
      this.#access = this.access
      this.raise(Attention.accessChanged)
    }
    return this.#attentions.length > 0
  }

  /** The access state changed here, or at another port of the unit. */
  accessChanged(): void {
    this.#access = this.access
    this.raise(Attention.accessChanged)
  }

  /** Queues a unit attention: ASC << 8 | ASCQ. */
  raise(attention: number): void {
    if (!this.#attentions.includes(attention)) this.#attentions.push(attention)
  }

  /** Takes a unit attention back that was told in another way. */
  clear(attention: number): void {
    this.#attentions = this.#attentions.filter((other) => other !== attention)
  }

  /** The next unit attention, told now; call it only where {@link attentive}. */
  tell(): Outcome {
    return check(0x06_0000 | this.#attentions.shift()!)
  }

  #noticeLimits(): void {
    const [before, now] = [this.#limits, this.device.limits]
    this.#limits = now
    if (now.size !== before.size) this.raise(Attention.capacityChanged)
    if (now.readOnly !== before.readOnly || now.writeCache !== before.writeCache) this.raise(Attention.modeParameters)
  }
}
