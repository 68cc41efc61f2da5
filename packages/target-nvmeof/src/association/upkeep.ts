import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Events } from '../controller/events.ts'
import type { KeepAlive } from '../controller/keep-alive.ts'
import type { NewsListener } from '../controller/serve-events.ts'
import { serveEvents } from '../controller/serve-events.ts'
import { asyncEventRequest, keepAlive } from '../nvme/admin.ts'
import { ask, demand } from '../nvme/ask.ts'
import type { Controller } from '../nvme/controller-data.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { StatusError } from '../nvme/status-error.ts'

/** What the upkeep of an association needs of it. */
export interface UpkeepHost {
  readonly clock: Clock
  readonly controller: Pick<Controller, 'logOffsets' | 'ana'>
  readonly listener: NewsListener
  /** Whether a command of an I/O queue was answered that was sent after the last `mark`. */
  worked(): boolean
  mark(): void
  /** Runs a procedure on the admin queue; `timeout` for each command, milliseconds. */
  run<Result>(procedure: Procedure<Result>, timeout?: number): Promise<Result>
  lost(error: BlockError): void
}

/** Keeps a controller alive and hears what it has to tell, in time. */
export class Upkeep {
  readonly #host: UpkeepHost
  readonly #events: Events
  readonly #keepAlive: KeepAlive | undefined
  #beat: Timer | undefined
  #news: Timer | undefined
  #serving = false
  #stopped = false
  #since = -1

  /** `keepAlive`: undefined where none was asked for. */
  constructor(host: UpkeepHost, events: Events, keepAlive: KeepAlive | undefined) {
    this.#host = host
    this.#events = events
    this.#keepAlive = keepAlive
  }

  start(): void {
    this.#arm()
    this.#look()
  }

  stop(): void {
    this.#stopped = true
    this.#beat?.cancel()
    this.#news?.cancel()
  }

  /** A command to a namespace failed as its access state forbids it: the ANA log may have to be read. */
  trouble(nsid: number, anaGroup: number): void {
    this.#events.trouble(nsid, anaGroup, this.#host.clock.now())
    this.#plan()
  }

  /** Asks what is due for the keep-alive, now and when it says. */
  readonly #look = (): void => {
    const engine = this.#keepAlive
    if (engine === undefined || this.#stopped) return
    const { clock } = this.#host
    this.#beat?.cancel()
    if (this.#host.worked()) engine.worked()
    const due = engine.due(clock.now())
    if (due === 'lost') return this.#host.lost(new BlockError('TIMED_OUT', 'no answer to a keep-alive in time'))
    if (due === 'ping') this.#ping(engine)
    this.#mark(engine)
    this.#beat = clock.after(untilDue(clock, engine.deadline), this.#look)
  }

  #mark({ since }: KeepAlive): void {
    if (since === this.#since) return
    this.#since = since
    this.#host.mark()
  }

  #ping(engine: KeepAlive): void {
    const { clock } = this.#host
    this.#host.run(demand('Keep Alive', keepAlive()), Infinity).then(
      () => {
        engine.answered(clock.now())
        this.#look()
      },
      (error: BlockError) => {
        // One that refuses even that has broken down (CSTS.CFS): only a new association brings it back.
        if (error instanceof StatusError) this.#host.lost(error)
      },
    )
  }

  #arm(): void {
    for (let count = this.#stopped ? 0 : this.#events.arm(); count > 0; count--) {
      this.#host.run(ask(asyncEventRequest()), Infinity).then(
        (completion) => {
          this.#events.answered(completion, this.#host.clock.now())
          this.#plan()
        },
        () => {},
      )
    }
  }

  #plan(): void {
    const { deadline } = this.#events
    if (deadline === undefined || this.#serving || this.#stopped) return
    const { clock } = this.#host
    this.#news?.cancel()
    this.#news = clock.after(untilDue(clock, deadline), this.#serve)
  }

  readonly #serve = (): void => {
    const { controller, listener, clock } = this.#host
    this.#serving = true
    this.#host.run(serveEvents(this.#events, controller, listener, () => clock.now())).then(
      () => {
        this.#serving = false
        this.#arm()
        this.#plan()
      },
      // A log that is absurd, or does not come.
      (error: BlockError) => this.#host.lost(error),
    )
  }
}

function untilDue(clock: Clock, deadline: number): number {
  return Math.max(0, Math.ceil((deadline - clock.now()) / 1000))
}
