import { put32le } from '@blockbraid/wire'
import type { NvmeEvent } from '../options/types.ts'

/** Sends a completion for an Async Event Request. */
type Answer = (result: number) => void

const NOTICE = 2
const IO_SET = 6
const RESERVATION = 0

/** Events of a controller (NVMe Base 2.1 §5.1.2) that its host is told of, and the bits of feature 0Bh that let them pass. */
export const Notice = {
  namespaces: { type: NOTICE, info: 0x00, log: 0x04, bit: 8 },
  ana: { type: NOTICE, info: 0x03, log: 0x0c, bit: 11 },
  discovery: { type: NOTICE, info: 0xf0, log: 0x70, bit: 31 },
  crossReset: { type: NOTICE, info: 0xf4, log: 0x1e, bit: -1 },
  reservation: { type: IO_SET, info: RESERVATION, log: 0x80, bit: -1 },
} as const
type NoticeName = keyof typeof Notice

/** OAES: what a controller may tell of. */
export function supportedEvents(discovery: boolean): number {
  const names: NoticeName[] = discovery ? ['discovery'] : ['namespaces', 'ana']
  return names.reduce((bits, name) => (bits | (1 << Notice[name].bit)) >>> 0, 0)
}

/** Async Event Requests that wait, and events that wait for one. */
export class Events {
  /** Feature 0Bh. */
  enabled = 0
  readonly #limit: number
  readonly #sent: () => void
  #requests: Answer[] = []
  #waiting: NvmeEvent[] = []
  /** Logs that belong to events that were sent, and were not read since: no more of them are sent. */
  readonly #masked = new Set<number>()

  /** `sent` is called for each event that is sent. */
  constructor(limit: number, sent: () => void) {
    this.#limit = limit
    this.#sent = sent
  }

  get requests(): number {
    return this.#requests.length
  }

  /** A request for an event; false where there are too many. */
  request(answer: Answer): boolean {
    if (this.#requests.length >= this.#limit) return false
    this.#requests.push(answer)
    this.#send()
    return true
  }

  /** Tells of something, once until its log is read, where the host wants to hear of it. */
  notice(name: NoticeName): void {
    const { bit, ...event } = Notice[name]
    if (bit >= 0 && (this.enabled & (1 << bit)) === 0) return
    if (this.#masked.has(event.log)) return
    this.#masked.add(event.log)
    this.raise(event)
  }

  /** Sends an event, or keeps it until a request for one comes. */
  raise(event: NvmeEvent): void {
    this.#waiting.push(event)
    this.#send()
  }

  /** A log was read, without the wish to keep its event. */
  read(log: number): void {
    this.#masked.delete(log)
    this.#waiting = this.#waiting.filter((event) => event.log !== log)
  }

  /** Forgets everything: the controller is reset. */
  clear(): void {
    this.#requests = []
    this.#waiting = []
    this.#masked.clear()
    this.enabled = 0
  }

  #send(): void {
    while (this.#requests.length > 0 && this.#waiting.length > 0) {
      const { type, info, log } = this.#waiting.shift()!
      this.#sent()
      this.#requests.shift()!((log << 16) | (info << 8) | type)
    }
  }
}

/** Namespaces that have changed since the log was read (NVMe Base 2.1 §5.1.12.1.5). */
export class ChangedNamespaces {
  readonly #ids = new Set<number>()

  add(nsid: number): void {
    this.#ids.add(nsid)
  }

  /** The log page. */
  page(): Buffer {
    const page = Buffer.alloc(4096)
    const ids = [...this.#ids].sort((a, b) => a - b)
    if (ids.length > 1024) put32le(page, 0, 0xffff_ffff)
    else for (const [place, id] of ids.entries()) put32le(page, 4 * place, id)
    return page
  }

  clear(): void {
    this.#ids.clear()
  }
}
