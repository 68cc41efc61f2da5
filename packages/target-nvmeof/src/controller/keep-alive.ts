import type { ControllerFacts } from './facts.ts'

/** What is due now. */
export type KeepAliveDue = 'nothing' | 'ping' | 'lost'

// Where this process was held up, the answer may stand in the socket: it is read before this is over. µs.
const GRACE = 1000

/**
 * Keeps a controller from ending what is its host's, and finds out when it does not answer (NVMe Base 2.1 §3.9). Pure: time
 * comes in, microseconds of one clock, and `deadline` says when to ask `due` again.
 *
 * So many Keep Alives go out in a timeout as are asked for. Where any command is a sign of life (TBKAS), it is looked twice
 * as often, and none goes out as long as commands that were sent since the last look were answered: an answer to an older one
 * does not say when the controller heard of us last, and one answer puts a Keep Alive off by two looks. A controller that
 * does not answer one for half a timeout is lost.
 */
export class KeepAlive {
  readonly #half: number
  readonly #period: number
  readonly #trafficBased: boolean
  #deadline: number
  /** The time of the last look: commands sent before it prove nothing. */
  #since: number
  #busy = false
  #waits = false
  #grace = false

  /**
   * `asked` is what was asked for, milliseconds, where the controller counts longer than that, or not at all. With more
   * than 2 `pings` in a timeout a controller is lost before it can have missed its host.
   */
  constructor(
    { keepAliveTimeout, trafficBased }: Pick<ControllerFacts, 'keepAliveTimeout' | 'trafficBased'>,
    asked: number,
    now: number,
    pings = 2,
  ) {
    const timeout = keepAliveTimeout === 0 ? asked : Math.min(asked, keepAliveTimeout)
    this.#half = timeout * 500
    const period = Math.round((timeout * 1000) / pings)
    this.#period = trafficBased ? period / 2 : period
    this.#trafficBased = trafficBased
    this.#since = now
    this.#deadline = now + this.#period
  }

  /** When `due` has something to say. */
  get deadline(): number {
    return this.#deadline
  }

  /** The time of the last look: `worked` is for answers to commands that were sent after it. */
  get since(): number {
    return this.#since
  }

  /** A command that was sent after `since` was answered. */
  worked(): void {
    this.#busy = true
  }

  /** The Keep Alive was answered. */
  answered(now: number): void {
    if (!this.#waits) return
    this.#waits = false
    this.#grace = false
    this.#look(now)
  }

  /** What is due. After `ping` a Keep Alive must be sent; after `lost` the controller must be given up. */
  due(now: number): KeepAliveDue {
    if (now < this.#deadline) return 'nothing'
    if (this.#waits) return this.#late(now)
    const skip = this.#trafficBased && this.#busy
    this.#look(now)
    if (skip) return 'nothing'
    this.#waits = true
    this.#deadline = now + this.#half
    return 'ping'
  }

  #late(now: number): KeepAliveDue {
    if (this.#grace) return 'lost'
    this.#grace = true
    this.#deadline = now + GRACE
    return 'nothing'
  }

  #look(now: number): void {
    this.#busy = false
    this.#since = now
    this.#deadline = now + this.#period
  }
}
