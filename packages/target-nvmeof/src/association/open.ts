import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { readAnaLog } from '../controller/ana-log.ts'
import type { BroughtUp } from '../controller/bring-up.ts'
import { bringUp } from '../controller/bring-up.ts'
import type { Authenticate } from '../controller/connect.ts'
import { connectIo } from '../controller/connect.ts'
import { Events } from '../controller/events.ts'
import { KeepAlive } from '../controller/keep-alive.ts'
import type { KeepAliveChoice } from '../controller/keep-alive-choice.ts'
import { decodeAnaLog } from '../nvme/ana.ts'
import type { Association } from './association.ts'
import type { DialOptions } from './dial.ts'
import { dial } from './dial.ts'
import type { Link } from './link.ts'
import { LiveAssociation } from './live-association.ts'
import { Upkeep } from './upkeep.ts'

/** Where to connect, and how. */
export interface OpenOptions extends DialOptions {
  /** I/O queues that are wanted; 0: a discovery controller is expected. */
  readonly queues: number
  /** Commands in flight that are wanted for each of them. */
  readonly queueDepth: number
  /** To ask for, milliseconds; 0: none. */
  readonly keepAliveTimeout: number
  /** Where given, `keepAliveTimeout` is the most, for a controller with namespaces. */
  readonly keepAliveChoice?: KeepAliveChoice | undefined
  /** Keep Alives in that time. @defaultValue 2 */
  readonly keepAlivePings?: number | undefined
  /** Milliseconds until everything is connected. */
  readonly connectTimeout: number
  /** Milliseconds for a command of `run`, where it does not say otherwise. */
  readonly commandTimeout: number
  readonly authenticate?: Authenticate | undefined
}

const ADMIN_ENTRIES = 32
// Every controller takes so much with an admin command (NVMe/TCP Transport 1.1 §3.3).
const ADMIN_IN_CAPSULE = 8192
const ENTRY = 64

/**
 * Connects to a controller and brings it up, with all of its queues: one try. Rejects with CONNECT_FAILED, TIMED_OUT,
 * DENIED, NOT_FOUND, NOT_SUPPORTED, PROTOCOL or ABORTED; the message begins with the address.
 * The cause is the error itself: a `StatusError` that is `final` where another try is no use.
 */
export async function openAssociation(options: OpenOptions, { signal }: SignalOptions = {}): Promise<Association> {
  const { clock, place, connectTimeout } = options
  const over = new AbortController()
  const abort = (): void =>
    over.abort(new BlockError('ABORTED', 'connecting was called off', { cause: signal?.reason }))
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort)
  const timer = clock.after(connectTimeout, () =>
    over.abort(new BlockError('TIMED_OUT', `not connected within ${connectTimeout} ms`)),
  )
  const association = new LiveAssociation(options)
  const onAbort = (): void => give(association, over.signal.reason)
  over.signal.addEventListener('abort', onAbort)
  try {
    over.signal.throwIfAborted()
    await new Opening(association, options, over.signal).open()
    return association
  } catch (thrown) {
    const error = over.signal.aborted ? over.signal.reason : thrown
    give(
      association,
      BlockError.is(error) ? error : new BlockError('CLOSED', 'connecting has failed', { cause: error }),
    )
    if (!BlockError.is(error)) throw error
    throw new BlockError(error.code, `${place.portal.address}: ${error.message}`, { errno: error.errno, cause: error })
  } finally {
    timer.cancel()
    over.signal.removeEventListener('abort', onAbort)
    signal?.removeEventListener('abort', abort)
  }
}

/** Ends what was not opened: nothing was written through it. */
function give(association: LiveAssociation, error: BlockError): void {
  association.drop(error)
  association.release()
}

class Opening {
  readonly #association: LiveAssociation
  readonly #options: OpenOptions
  readonly #signal: AbortSignal

  constructor(association: LiveAssociation, options: OpenOptions, signal: AbortSignal) {
    this.#association = association
    this.#options = options
    this.#signal = signal
  }

  async open(): Promise<void> {
    const association = this.#association
    const { place, queues, queueDepth, keepAliveTimeout, keepAliveChoice, authenticate } = this.#options
    const keepAlive = { keepAliveTimeout, keepAliveChoice }
    const admin = await this.#join(ADMIN_ENTRIES, ADMIN_IN_CAPSULE)
    const up = await association.runOn(
      admin,
      bringUp({ place, entries: ADMIN_ENTRIES, ...keepAlive, queues, queueDepth, authenticate }),
    )
    const events = new Events(up.eventRequests)
    association.serve(up, this.#upkeep(up, events))
    for (let queue = 1; queue <= up.queues; queue++) await this.#connectIo(queue, up)
    if (!up.controller.ana || up.queues === 0) return
    association.anaLog = await association.run(readAnaLog(up.controller))
    events.served('ana', this.#options.clock.now(), decodeAnaLog(association.anaLog))
  }

  #join(depth: number, inCapsule: number): Promise<Link> {
    return dial(this.#association, this.#options, { depth, inCapsule }, this.#signal)
  }

  async #connectIo(queue: number, { facts, controller, queueEntries: entries }: BroughtUp): Promise<void> {
    const { place, authenticate } = this.#options
    const { commandCapsule, capsuleOffset } = controller
    const link = await this.#join(entries, capsuleOffset === 0 ? commandCapsule - ENTRY : 0)
    const fields = { queue, entries, controller: facts.id }
    await this.#association.runOn(link, connectIo(place, fields, authenticate))
  }

  #upkeep(up: BroughtUp, events: Events): Upkeep {
    const association = this.#association
    const { clock, keepAliveTimeout, keepAlivePings } = this.#options
    const tell = association.listeners
    return new Upkeep(
      {
        clock,
        controller: up.controller,
        listener: {
          ana(log) {
            association.anaLog = log
            for (const listener of [...tell]) listener.ana?.(log)
          },
          namespaces(ids) {
            for (const listener of [...tell]) listener.namespaces?.(ids)
          },
          crossReset() {
            for (const listener of [...tell]) listener.crossReset?.()
          },
          discovery() {
            for (const listener of [...tell]) listener.discovery?.()
          },
          notice(text) {
            for (const listener of [...tell]) listener.notice?.(text)
          },
        },
        worked: () => association.worked(),
        mark: () => association.mark(),
        run: (procedure, timeout) => association.run(procedure, timeout === undefined ? {} : { timeout }),
        lost: (error) => association.drop(error),
      },
      events,
      keepAliveTimeout === 0 ? undefined : new KeepAlive(up.facts, keepAliveTimeout, clock.now(), keepAlivePings),
    )
  }
}
