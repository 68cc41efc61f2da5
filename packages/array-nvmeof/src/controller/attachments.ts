import type { Path } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Attachment } from '../namespace/attachment.ts'
import type { Mapping } from '../namespace/volume.ts'
import type { ControllerHost } from './host.ts'
import type { Watching } from './watcher.ts'
import { Watcher } from './watcher.ts'

/** The controller whose namespaces they are. */
export interface AttachmentsOwner extends Watching {
  readonly host: ControllerHost
  readonly hostNqn: string
  readonly port: number
  readonly discovery: boolean
  readonly gone: boolean
  readonly over: boolean
  readonly signal: AbortSignal
  /** Ends all connections. */
  drop(): void
}

/** The namespaces of a controller, with its devices. */
export class Attachments {
  readonly byId = new Map<number, Attachment>()
  readonly #owner: AttachmentsOwner
  readonly #watchers = new Map<Attachment, Watcher>()

  constructor(owner: AttachmentsOwner) {
    this.#owner = owner
  }

  /** Opens every namespace of its port; rejects where none of them answers. */
  async openAll(signal: AbortSignal = this.#owner.signal): Promise<void> {
    const { host, port, discovery, hostNqn } = this.#owner
    const mappings = [...host.namespaces.of(port).values()]
    if (discovery) {
      // A port that is down or hangs tells of no subsystem either.
      const [first] = mappings
      if (first?.owned === true) await (await first.open(hostNqn, signal)).close()
      return
    }
    const found = await Promise.allSettled(mappings.map((mapping) => this.open(mapping, signal)))
    const failure = found.find((one) => one.status === 'rejected')
    // A port where nothing answers is as good as down; one namespace that is gone just now is no reason.
    if (failure !== undefined && found.every((one) => one.status === 'rejected')) throw failure.reason
  }

  /** Opens a namespace. */
  async open(mapping: Mapping, signal: AbortSignal = this.#owner.signal): Promise<void> {
    const owner = this.#owner
    const device = await mapping.open(owner.hostNqn, signal)
    const mapped = owner.host.namespaces.of(owner.port).get(mapping.nsid) === mapping
    if (owner.gone || owner.over || !mapped) {
      if (mapping.owned) await device.close()
      return
    }
    const attachment = new Attachment(mapping, device)
    this.byId.set(mapping.nsid, attachment)
    const watcher = new Watcher(owner, attachment)
    this.#watchers.set(attachment, watcher)
    mapping.volume.watchers.add(watcher)
    if (mapping.owned && 'events' in device) this.#listen(attachment, watcher, device as Path)
  }

  /** Takes a namespace away. */
  remove(attachment: Attachment): void {
    attachment.gone = true
    void this.#close(attachment)
  }

  /** Takes all away; settles when the devices that are the controller's own can change nothing any more. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.byId.values()].map((attachment) => this.#close(attachment)))
  }

  /** Tells of devices that have changed by themselves. */
  lookForChanges(): void {
    for (const [attachment, watcher] of this.#watchers) if (attachment.noticeLimits()) watcher.changed()
  }

  #close(attachment: Attachment): Promise<void> {
    const { nsid, volume, owned } = attachment.mapping
    if (this.byId.get(nsid) === attachment) this.byId.delete(nsid)
    volume.watchers.delete(this.#watchers.get(attachment)!)
    this.#watchers.delete(attachment)
    return owned ? attachment.device.close() : Promise.resolve()
  }

  #listen(attachment: Attachment, watcher: Watcher, path: Path): void {
    const owner = this.#owner
    path.events.on('access', () => {
      owner.host.namespaces.changes++
      watcher.accessChanged()
    })
    path.events.on('limits', () => {
      if (attachment.noticeLimits()) watcher.changed()
    })
    path.events.on('down', (error) => {
      if (attachment.gone || owner.over) return
      const lost = BlockError.is(error) && (error.code === 'NOT_FOUND' || error.code === 'IDENTITY_CHANGED')
      if (!lost) return owner.drop()
      this.remove(attachment)
      watcher.changed()
    })
  }
}
