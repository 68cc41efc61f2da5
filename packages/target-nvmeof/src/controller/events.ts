import type { AnaLog } from '../nvme/ana.ts'
import { anaGroupOf } from '../nvme/ana.ts'
import type { AsyncEvent, EventKind } from '../nvme/event.ts'
import { decodeEvent } from '../nvme/event.ts'
import type { Completion } from '../nvme/procedure.ts'

/** Something to read or to tell. */
export interface News {
  readonly kind: EventKind
  /** For people: what the controller said; undefined where it was asked for by ourselves. */
  readonly event: AsyncEvent | undefined
}

// News of one kind is read at once, and then at most so often: a controller that tells of it without end, or 128 commands
// that fail for one reason, are read of once. µs.
const SPACING = 100_000
// A group in transition is looked at again so often, as the event that tells of its end can be lost. µs.
const TRANSITION = 1_000_000

const KINDS: readonly EventKind[] = ['ana', 'namespaces', 'reset', 'discovery', 'error', 'smart', 'other']

/**
 * What asynchronous events have to be heard of and read. Pure: `arm` says how many requests to send, `answered` takes what
 * comes of them, `take` gives what is to be read, `served` says that it was. A request is sent again after its log was read:
 * until then a controller keeps back others of its type.
 */
export class Events {
  #limit: number
  #outstanding = 0
  /** Requests that were answered by what is not read yet. */
  #unread = 0
  readonly #states = new Map<EventKind, State>(KINDS.map((kind) => [kind, new State()]))
  #ana: AnaLog | undefined
  /** Namespaces of failed commands, with their groups, that came while the ANA log was read. */
  readonly #doubts = new Map<number, number>()

  /** `limit`: requests that the controller takes at once. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many Asynchronous Event Requests to send now: they count as sent. */
  arm(): number {
    const count = Math.max(0, this.#limit - this.#outstanding - this.#unread)
    this.#outstanding += count
    return count
  }

  /** A request was answered. */
  answered({ status, result }: Pick<Completion, 'status' | 'result'>, now: number): void {
    this.#outstanding--
    if (status !== 0) {
      // It takes fewer than it said, or none.
      this.#limit--
      return
    }
    const event = decodeEvent(result)
    const state = this.#states.get(event.kind)!
    state.answers++
    this.#unread++
    state.want(now, event)
  }

  /** Something is to be read, whatever events say. */
  want(kind: EventKind, now: number): void {
    this.#states.get(kind)!.want(now, undefined)
  }

  /**
   * A command to a namespace failed as its access state forbids it. The ANA log is read, unless the one that was read last
   * says so already, or the one that is being read will.
   */
  trouble(nsid: number, anaGroup: number, now: number): void {
    if (this.#states.get('ana')!.busy) this.#doubts.set(nsid, anaGroup)
    else if (!this.#explains(nsid, anaGroup)) this.want('ana', now)
  }

  #explains(nsid: number, anaGroup: number): boolean {
    const known = this.#ana === undefined ? undefined : anaGroupOf(this.#ana, nsid, anaGroup)
    return known !== undefined && known.access !== 'optimized' && known.access !== 'non-optimized'
  }

  /** When `take` has something, µs; undefined: nothing to read. */
  get deadline(): number | undefined {
    let least: number | undefined
    for (const { due } of this.#states.values()) {
      // One that is being read has no time yet.
      if (due !== undefined && Number.isFinite(due) && (least === undefined || due < least)) least = due
    }
    return least
  }

  /** What is to be read now; one at a time. */
  take(now: number): News | undefined {
    for (const [kind, state] of this.#states) {
      if (state.due === undefined || state.due > now) continue
      return { kind, event: state.take() }
    }
    return undefined
  }

  /** What `take` gave was read, or cannot be read; `ana`: the log, where it was that one. */
  served(kind: EventKind, now: number, ana?: AnaLog): void {
    this.#unread -= this.#states.get(kind)!.served(now)
    if (kind !== 'ana') return
    this.#ana = ana
    for (const [nsid, anaGroup] of this.#doubts) {
      if (ana !== undefined && !this.#explains(nsid, anaGroup)) this.want('ana', now)
    }
    this.#doubts.clear()
    if (ana === undefined) return
    if (ana.groups.some(({ access }) => access === 'transitioning'))
      this.#states.get('ana')!.lookAgain(now + TRANSITION)
  }
}

class State {
  /** When it is to be read; undefined: it is not. */
  due: number | undefined
  /** Requests that were answered by it and wait for it to be read. */
  answers = 0
  #taken = 0
  #event: AsyncEvent | undefined
  /** It is being read. */
  busy = false
  #earliest = Number.NEGATIVE_INFINITY

  want(now: number, event: AsyncEvent | undefined): void {
    this.#event = event ?? this.#event
    const at = Math.max(now, this.#earliest)
    if (this.due === undefined || at < this.due) this.due = at
  }

  lookAgain(at: number): void {
    this.due ??= at
  }

  take(): AsyncEvent | undefined {
    const event = this.#event
    this.#event = undefined
    this.due = undefined
    this.#taken = this.answers
    this.busy = true
    // Until it is served: what comes meanwhile waits.
    this.#earliest = Number.POSITIVE_INFINITY
    return event
  }

  served(now: number): number {
    const read = this.#taken
    this.answers -= read
    this.#taken = 0
    this.busy = false
    this.#earliest = now + SPACING
    if (this.due !== undefined) this.due = Math.max(now, this.#earliest)
    return read
  }
}
