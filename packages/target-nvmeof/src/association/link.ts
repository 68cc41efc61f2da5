import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Wakeful, Wire } from '@blockbraid/wire'
import { errorWords, SignOfLife } from '@blockbraid/wire'
import type { QueueOptions } from '../queue/queue.ts'
import { Queue } from '../queue/queue.ts'

/** Who has a {@link Link}. */
export interface LinkHost {
  readonly clock: Clock
  /** Keeps the event loop awake for a lone command; undefined: nothing there is worth it. */
  readonly wakeful: Wakeful | undefined
  /** Something came. */
  heard(): void
  /** It can be used no longer: `cut` and the queue's `endAll` must follow. */
  lost(error: BlockError): void
}

// A controller that answers before it has taken all data is rare: then the buffers are looked after this often, ms.
const EARLY_WAIT = 2
// So long a controller may take to close a connection that a termination request has ended, ms.
const LINGER = 1000

/** A queue over its wire. */
export class Link {
  readonly queue: Queue
  readonly life: SignOfLife
  /** Owners who have a question for a sign of life in flight. */
  readonly asking = new Set<object>()
  readonly #wire: Wire
  readonly #host: LinkHost
  #early: Timer | undefined
  #told = false
  #cut = false
  #opened: { readonly resolve: () => void; readonly reject: (error: BlockError) => void } | undefined

  constructor(wire: Wire, host: LinkHost, options: QueueOptions) {
    this.#wire = wire
    this.#host = host
    this.life = new SignOfLife(host.clock)
    this.queue = new Queue(
      wire.outbox,
      {
        agreed: () => this.#opened?.resolve(),
        broken: (error, told) => {
          this.#told = told
          this.#lost(error)
        },
      },
      options,
    )
    wire.sink = {
      bytes: (chunk, start, end) => this.#bytes(chunk, start, end),
      finished: () => this.#lost(wireEnd(undefined)),
      closed: (error) => this.#lost(wireEnd(error)),
    }
  }

  /** Begins the connection; settles when it is agreed on, or rejects with what it was lost by. */
  open(): Promise<void> {
    const { error } = this.queue
    if (error !== undefined) return Promise.reject(error)
    return new Promise((resolve, reject) => {
      this.#opened = { resolve, reject }
      this.queue.start()
    })
  }

  /** Whether it has not been cut. */
  get alive(): boolean {
    return !this.#cut
  }

  /** Ends it now, by RST; where a termination request was sent, the controller has a moment to close before that. */
  cut(error: BlockError): void {
    if (this.#cut) return
    this.#cut = true
    this.#early?.cancel()
    this.queue.cut(error)
    this.life.end(error)
    if (this.#told) this.#linger()
    else this.#wire.reset()
    this.#opened?.reject(error)
  }

  /** Ends it in order; every command must have ended. */
  end(error: BlockError): void {
    if (this.#cut) return
    this.#cut = true
    this.#early?.cancel()
    this.queue.cut(error)
    this.life.end(error)
    this.#wire.destroy()
  }

  #bytes(chunk: Buffer, start: number, end: number): void {
    const { wakeful } = this.#host
    this.#host.heard()
    this.life.heard()
    wakeful?.heard()
    const { queue } = this
    if (queue.push(chunk, start, end)) this.#wire.retain()
    if (queue.busy === 1) wakeful?.waiting()
    if (queue.hasEarly) this.#early ??= this.#host.clock.after(EARLY_WAIT, this.#endEarly)
  }

  readonly #endEarly = (): void => {
    this.#early = undefined
    this.queue.endEarly()
    if (this.queue.hasEarly) this.#early = this.#host.clock.after(EARLY_WAIT, this.#endEarly)
  }

  #lost(error: BlockError): void {
    if (!this.#cut) this.#host.lost(error)
  }

  #linger(): void {
    const wire = this.#wire
    const over = (): void => {
      timer.cancel()
      wire.reset()
    }
    const timer = this.#host.clock.after(LINGER, over)
    wire.sink = { bytes() {}, finished: over, closed: () => timer.cancel() }
  }
}

function wireEnd(error: Error | undefined): BlockError {
  const why = error === undefined ? 'the controller closed the connection' : errorWords(error)
  return new BlockError('CONNECT_FAILED', why, { cause: error })
}
