import type { Host, Timer } from '@blockbraid/core'
import type { ControllerIdentity } from './controller/controller.ts'
import { Controller } from './controller/controller.ts'
import type { ControllerHost, DiscoveryPort, SiblingController } from './controller/host.ts'
import { Records } from './controller/records.ts'
import type { Faults } from './faults/faults.ts'
import { Namespaces } from './namespace/namespaces.ts'
import type { NvmeReferral } from './options/options.ts'
import type { ArraySettings } from './options/settings.ts'
import type { Port } from './port.ts'
import type { ConnectionHost } from './queue/host.ts'

/** Controllers at once, those that live on without a connection included. */
const MOST_CONTROLLERS = 4096
/** The highest CNTLID. */
const MOST_ID = 0xffef

/** What an array does for its connections and controllers. */
export class Services implements ControllerHost {
  readonly settings: ArraySettings
  readonly records = new Records()
  readonly namespaces: Namespaces
  readonly resetting = new Set<number>()
  generation = 1
  referrals: readonly NvmeReferral[]
  readonly live = new Set<Controller>()
  readonly #loose = new Set<SiblingController>()
  readonly #host: Host
  readonly #faults: Faults
  readonly #ports: () => readonly Port[]
  #lastId = 0

  constructor(settings: ArraySettings, host: Host, faults: Faults, ports: () => readonly Port[]) {
    this.settings = settings
    this.referrals = settings.referrals
    this.namespaces = new Namespaces(settings.ports.length)
    this.#host = host
    this.#faults = faults
    this.#ports = ports
  }

  get phantoms(): number {
    return this.#faults.phantomNamespaces
  }

  get ports(): readonly DiscoveryPort[] {
    return this.#ports()
  }

  after(milliseconds: number, callback: () => void): Timer {
    return this.#host.clock.after(milliseconds, callback)
  }

  now(): number {
    return this.#host.clock.now()
  }

  random(): number {
    return this.#host.random()
  }

  isEndless(port: number): boolean {
    return this.#faults.follows(port, 'endless')
  }

  controllers(): Iterable<Controller> {
    return this.live
  }

  loose(controller: SiblingController): void {
    this.#loose.add(controller)
  }

  /** Ends every controller, and what those have left that are gone. */
  async close(): Promise<void> {
    await Promise.all([...this.live, ...this.#loose].map((controller) => controller.remove('close')))
  }

  dropHeld(controller: object): void {
    this.records.dropped += this.#faults.dropHeld(controller)
  }

  /** The discovery log is another one: hosts that keep a connection for it hear of it. */
  discoveryChanged(): void {
    this.generation++
    for (const controller of this.live) if (controller.discovery) controller.events.notice('discovery')
  }

  /** What a new connection of a port needs. */
  connectionHost(port: Port): ConnectionHost {
    this.records.connections++
    const faults = this.#faults
    const { number, serves } = port
    return {
      port: number,
      serves,
      settings: this.settings,
      records: this.records,
      hooks: faults.hooks,
      mute: faults.follows(number, 'mute'),
      after: (milliseconds, callback) => this.after(milliseconds, callback),
      refusal: (admin, discovery) => faults.refusal(number, admin, discovery),
      find: (id) => [...this.live].find((controller) => controller.id === id),
      full: () => this.live.size >= MOST_CONTROLLERS,
      make: (identity) => this.#make({ ...identity, port: number }),
      closed: (connection) => port.forget(connection),
      tapFor: (connection) => faults.tapFor(connection),
    }
  }

  #make(identity: Omit<ControllerIdentity, 'id'>): Controller {
    const taken = new Set([...this.live].map(({ id }) => id).concat(...this.resetting))
    do this.#lastId = (this.#lastId % MOST_ID) + 1
    while (taken.has(this.#lastId))
    const controller = new Controller({ ...identity, id: this.#lastId }, this, () => this.live.delete(controller))
    this.live.add(controller)
    return controller
  }
}
