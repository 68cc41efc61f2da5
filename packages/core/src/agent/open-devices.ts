import type { Host } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import type { Ledger } from '../ledger.ts'
import { ConnectTurns } from '../multipath/connects/connect-turns.ts'
import type { Owed } from '../multipath/guard.ts'
import type { MultipathDevice } from '../multipath/multipath-device.ts'
import { openInTurn } from '../multipath/open-multipath.ts'
import type { MultipathOptions } from '../multipath/options.ts'
import type { PathSource } from '../multipath/path-source.ts'
import type { PathSelector } from '../policy.ts'
import type { SignalOptions } from '../signal.ts'
import type { VolumeId } from '../volume-id.ts'
import type { Debts, Inherited } from './debts.ts'
import { volumeOf } from './inventory.ts'

// A device that is opened again waits that long for the fences of the last one, before it holds I/O for them, ms.
const FENCE_WAIT = 5000

/** What {@link OpenDevices} is made of. */
export interface OpenDevicesParts {
  readonly host: Host
  readonly ledger: Ledger | undefined
  readonly debts: Debts
  readonly stop: AbortSignal
  /** The paths behind a device id, as they are offered now. */
  offered(id: string): readonly PathSource[]
  /** A device was opened or closed, or has no usable path, or has one again. */
  changed(): void
}

/** Devices that are open, by their id, each shared by its users; and those that were closed and are not fenced. */
export class OpenDevices {
  readonly byId: Map<string, MultipathDevice> = new Map()
  readonly #parts: OpenDevicesParts
  readonly #connects: ConnectTurns
  readonly #users = new WeakMap<MultipathDevice, number>()
  readonly #opening = new Map<string, readonly PathSource[]>()
  readonly #unfenced = new Set<MultipathDevice>()

  constructor(parts: OpenDevicesParts) {
    this.#parts = parts
    this.#connects = new ConnectTurns(parts.host)
  }

  usersOf(device: MultipathDevice): number {
    return this.#users.get(device) ?? 0
  }

  /** Ids of the paths of each device that is open, or being opened. */
  held(): ReadonlyMap<string, ReadonlySet<string>> {
    const held = new Map<string, Set<string>>()
    for (const [id, sources] of this.#opening) held.set(id, new Set(sources.map(({ info }) => info.id)))
    for (const [id, device] of this.byId) {
      // One that was never up is judged anew: of what was only expected more may be known by now.
      held.set(id, new Set(device.paths.filter(({ access }) => access !== undefined).map((path) => path.id)))
    }
    return held
  }

  /** Lets the paths of every device come and go as they are offered. */
  follow(): void {
    for (const [id, device] of this.byId) this.#follow(id, device)
  }

  #follow(id: string, device: MultipathDevice): void {
    const sources = this.#parts.offered(id).filter((source) => volumeOf(source) === device.volume)
    const offered = new Set(sources.map(({ info }) => info.id))
    for (const path of device.paths) {
      // Not awaited: a fence may take long, and the scan has nothing to gain from it.
      if (!offered.has(path.id)) void device.removePath(path.id)
    }
    for (const source of sources) device.addPath(source)
  }

  /** One more user of a device, which is open. */
  share(device: MultipathDevice): MultipathDevice {
    this.#users.set(device, this.usersOf(device) + 1)
    return device
  }

  /** Opens a device for its first user. */
  async open(
    id: string,
    sources: readonly [PathSource, ...PathSource[]],
    selector: (() => PathSelector) | undefined,
    multipath: MultipathOptions | undefined,
    signal: AbortSignal,
  ): Promise<MultipathDevice> {
    const { host, ledger, changed } = this.#parts
    const volume = volumeOf(sources[0])
    this.#opening.set(id, sources)
    let device: MultipathDevice
    try {
      const { owed, begin } = await orAborted(this.#owed(volume), signal)
      device = await openInTurn(volume, sources, { selector, multipath, signal, host, ledger, owed }, this.#connects)
      begin()
    } finally {
      this.#opening.delete(id)
    }
    this.byId.set(id, device)
    this.#users.set(device, 1)
    for (const event of ['stalled', 'resumed'] as const) device.events.on(event, changed)
    // What was found while it was opened.
    this.#follow(id, device)
    changed()
    return device
  }

  /** One user less; the last one closes the device. */
  async release(id: string, device: MultipathDevice, options: SignalOptions | undefined): Promise<void> {
    const users = this.usersOf(device) - 1
    this.#users.set(device, users)
    // Its own Ios must be done before it is told so; which of them are its own nobody knows.
    if (users > 0) return orAborted(device.settled(), options?.signal)
    this.byId.delete(id)
    this.#parts.changed()
    this.#unfenced.add(device)
    void device.fenced.then(() => this.#unfenced.delete(device))
    await device.close(options)
  }

  /** What holds I/O of a volume: what processes before have left, and devices of this one that were closed. */
  async #owed(volume: VolumeId): Promise<Inherited> {
    const own = await this.#ownDebts(volume)
    const { debts, stop } = this.#parts
    const { owed, begin } = await debts.of(volume, stop)
    return { owed: [...own, ...owed], begin }
  }

  async #ownDebts(volume: VolumeId): Promise<readonly Owed[]> {
    const closed = [...this.#unfenced].filter((device) => device.volume === volume)
    if (closed.length === 0) return []
    const { host, stop } = this.#parts
    const over = new AbortController()
    const waited = delay(host.clock, FENCE_WAIT, AbortSignal.any([over.signal, stop]))
    await Promise.race([Promise.all(closed.map(({ fenced }) => fenced)), waited])
    over.abort()
    const before = closed.filter((device) => this.#unfenced.has(device))
    return (await Promise.all(before.map((device) => device.leaves()))).flat()
  }
}
