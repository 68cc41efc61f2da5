import type { Attachment } from '../namespace/attachment.ts'
import type { Mapping, VolumeWatcher } from '../namespace/volume.ts'

/** A controller, as what happens to its namespaces finds it. */
export interface Watching {
  readonly id: number
  readonly hostId: string
  readonly events: { notice(name: 'ana' | 'reservation'): void }
  readonly reservationNotices: { type: number; nsid: number }[]
  namespaceChanged(nsid: number): void
  abortAll(attachment: Attachment): Promise<void>
}

/** The most reservation notifications that wait to be read. */
const MOST_NOTICES = 255

/** Tells a controller what happens to one of its namespaces. */
export class Watcher implements VolumeWatcher {
  readonly mapping: Mapping
  readonly hostId: string
  readonly controllerId: number
  readonly #controller: Watching
  readonly #attachment: Attachment

  constructor(controller: Watching, attachment: Attachment) {
    this.#controller = controller
    this.#attachment = attachment
    this.mapping = attachment.mapping
    this.hostId = controller.hostId
    this.controllerId = controller.id
  }

  changed(): void {
    this.#controller.namespaceChanged(this.mapping.nsid)
  }

  accessChanged(): void {
    this.#controller.events.notice('ana')
  }

  notify(type: number): void {
    const { reservationNotices, events } = this.#controller
    if (reservationNotices.length < MOST_NOTICES) reservationNotices.push({ type, nsid: this.mapping.nsid })
    events.notice('reservation')
  }

  abort(): Promise<void> {
    return this.#controller.abortAll(this.#attachment)
  }
}
