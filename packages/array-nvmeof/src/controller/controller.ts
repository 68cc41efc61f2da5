import type { Attachment } from '../namespace/attachment.ts'
import type { RequestController } from '../request/request.ts'
import { Attachments, type AttachmentsOwner } from './attachments.ts'
import { ErrorLog } from './error-log.ts'
import { ChangedNamespaces, Events } from './events.ts'
import { Features } from './features.ts'
import type { ControllerHost, QueueLink } from './host.ts'
import { KeepAlive } from './keep-alive.ts'
import { CrossResets } from './reset-log.ts'

/** Why a controller ends. */
export type Ending = 'disable' | 'crossReset' | 'keepAlive' | 'lost' | 'close'

/** What a controller is, from its Connect. */
export interface ControllerIdentity {
  readonly id: number
  readonly hostNqn: string
  readonly hostId: string
  readonly port: number
  readonly discovery: boolean
}

/** A controller of one host: its registers, its namespaces, and how it ends. */
export class Controller implements RequestController, AttachmentsOwner {
  readonly host: ControllerHost
  readonly id: number
  readonly hostNqn: string
  readonly hostId: string
  readonly port: number
  readonly discovery: boolean
  readonly maxTransfer: number
  /** CIU and CIRN. */
  readonly instance: number
  instanceRandom: bigint
  readonly namespaces: Attachments = new Attachments(this)
  readonly attachments: ReadonlyMap<number, Attachment> = this.namespaces.byId
  readonly links = new Map<number, QueueLink>()
  readonly keepAlive: KeepAlive
  readonly events: Events
  readonly features: Features
  readonly changed = new ChangedNamespaces()
  readonly crossResets = new CrossResets()
  readonly errors = new ErrorLog()
  readonly reservationNotices: { type: number; nsid: number }[] = []
  /** CC. */
  configuration = 0
  ready = false
  /** CSTS.CFS. */
  failed = false
  /** CSTS.SHST. */
  shutdown = 0
  over = false
  /** It takes no part any more: its CNTLID leads nowhere. */
  gone = false
  readonly #abort = new AbortController()
  /** It has ended without a fence: what it has goes on. */
  #loose = false
  #running = 0
  #idle: (() => void)[] = []
  #ended: Promise<void> = Promise.resolve()
  #removed: (() => void) | undefined

  /** `removed` is called when it is gone. */
  constructor(identity: ControllerIdentity, host: ControllerHost, removed: () => void) {
    this.host = host
    this.id = identity.id
    this.hostNqn = identity.hostNqn
    this.hostId = identity.hostId
    this.port = identity.port
    this.discovery = identity.discovery
    const { settings, records } = host
    this.maxTransfer = settings.maxTransfer
    this.instance = 1 + Math.floor(host.random() * 255)
    this.instanceRandom = randomWord(host)
    this.keepAlive = new KeepAlive(host, settings.trafficKeepAlive, () => this.#expire())
    this.events = new Events(settings.asyncEvents, () => records.events++)
    this.features = new Features(settings.queues)
    this.#removed = removed
  }

  /** Fires when it is gone. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether its admin queue has a connection. */
  get connected(): boolean {
    return this.links.has(0)
  }

  renew(): void {
    this.instanceRandom = randomWord(this.host)
  }

  later(callback: () => void): void {
    this.host.after(0, callback)
  }

  /** Asks for a keep-alive timeout, ms: what it counts by is at least the array's. */
  setKeepAlive(wanted: number): void {
    const { minKeepAlive, keepAliveGranularity } = this.host.settings
    const raised = wanted === 0 ? 0 : Math.max(wanted, minKeepAlive)
    this.keepAlive.timeout = Math.ceil(raised / keepAliveGranularity) * keepAliveGranularity
    if (this.keepAlive.active) this.keepAlive.start()
  }

  // Namespaces

  /** The namespaces at an NSID are others than before. */
  namespaceChanged(nsid: number): void {
    if (this.discovery) return
    this.changed.add(nsid)
    this.events.notice('namespaces')
  }

  lookForChanges(): void {
    this.namespaces.lookForChanges()
  }

  // Requests

  /** A request is executed from now on. */
  began(): void {
    this.#running++
  }

  /** It is executed no more. */
  finished(): void {
    if (--this.#running > 0 || this.#idle.length === 0) return
    const idle = this.#idle
    this.#idle = []
    for (const tell of idle) tell()
  }

  /** Ends all connections: the devices have failed as a path does. */
  drop(): void {
    for (const link of [...this.links.values()]) link.destroy()
  }

  /** Aborts every command of a namespace; settles when those that are executed have ended. */
  async abortAll(attachment: Attachment): Promise<void> {
    for (const link of this.links.values()) {
      for (const request of link.all()) if (request.attachment === attachment) link.abort(request)
    }
    // What the device has is waited for.
    const ended: Promise<void>[] = []
    for (const link of this.links.values()) {
      for (const request of link.all()) if (request.attachment === attachment) ended.push(link.ended(request))
    }
    await Promise.all(ended)
  }

  // Registers

  /** CSTS. */
  get status(): number {
    return (this.ready ? 0x01 : 0) | (this.failed ? 0x02 : 0) | (this.shutdown << 2)
  }

  /** CC was set (NVMe Base 2.1 §3.1.4.5). */
  configure(value: number): void {
    const was = this.configuration
    this.configuration = value
    if ((value & 1) !== 0 && (was & 1) === 0) void this.#enable()
    if ((value & 1) === 0 && (was & 1) !== 0) void this.#disable()
    else if ((value & 0xc000) !== 0 && this.shutdown === 0) void this.#shutDown()
  }

  async #enable(): Promise<void> {
    const { host } = this
    await this.#ended
    if (this.gone) return
    this.#loose = false
    if (this.over) {
      this.over = false
      this.shutdown = 0
      try {
        await this.namespaces.openAll()
      } catch {
        return this.drop()
      }
    }
    const enable = (): void => {
      if ((this.configuration & 1) === 0 || this.gone || host.isEndless(this.port)) return
      this.ready = true
      this.keepAlive.start()
    }
    if (host.settings.enableTime === 0) enable()
    else host.after(host.settings.enableTime, enable)
  }

  async #disable(): Promise<void> {
    this.host.records.disables++
    await this.end('disable', false)
    if ((this.configuration & 1) !== 0) return
    this.ready = false
    this.failed = false
    this.shutdown = 0
  }

  async #shutDown(): Promise<void> {
    this.host.records.shutdowns++
    this.shutdown = 1
    await this.end('disable', false)
    if (this.shutdown === 1) this.shutdown = 2
  }

  /** It breaks down: nothing is executed any more, and only a reset helps. */
  fail(): void {
    this.failed = true
    this.keepAlive.stop()
  }

  // The end

  /** A connection is gone. */
  lost(link: QueueLink): void {
    if (this.links.get(link.id) !== link) return
    this.links.delete(link.id)
    if (link.id !== 0) return
    this.events.clear()
    for (const other of [...this.links.values()]) other.destroy()
    if (this.keepAlive.active && this.host.settings.lingers && !this.over) return
    void this.remove('lost')
  }

  /** Ends it for good; settles when nothing that it had can change data any more. */
  async remove(why: Ending): Promise<void> {
    if (!this.gone) {
      this.gone = true
      this.#abort.abort()
      this.#removed?.()
    }
    await this.end(why, true)
    if (!this.over) this.host.loose(this)
  }

  /** Its I/O queues end, and everything they have left in devices; settles when nothing of it can change data any more. */
  end(why: Ending, admin: boolean): Promise<void> {
    const { fences } = this.host.settings
    // Asked first: the end of its connections is one reason more.
    if (why === 'close') this.#loose = false
    else if (why !== 'lost' && !fences[why]) this.#loose = true
    this.keepAlive.stop()
    this.events.clear()
    this.links.get(0)?.forgetWaiting()
    for (const link of [...this.links.values()]) if (admin || link.id !== 0) link.destroy()
    if (this.#loose) return Promise.resolve()
    if (!this.over) {
      this.over = true
      this.host.dropHeld(this)
      this.features.reset()
      this.#ended = Promise.all([this.namespaces.closeAll(), this.#whenIdle()]).then(() => {})
    }
    return this.#ended
  }

  #whenIdle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #expire(): void {
    this.host.records.expirations++
    void this.remove('keepAlive')
  }
}

function randomWord(host: ControllerHost): bigint {
  const half = (): bigint => BigInt(Math.floor(host.random() * 2 ** 32))
  const word = (half() << 32n) | half()
  // 0 says that there is none.
  return word === 0n ? 1n : word
}
