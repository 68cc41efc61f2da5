import type { BlockDevice, DeviceLimits, Io, IoSource } from '@blockbraid/core'
import { Errno } from '@blockbraid/core'

/**
 * Keeps requests that the kernel sends again from being done beside, or before, what the connection that died
 * still has in flight: a write that came through late would undo newer ones. Shared by all connections of a node.
 */
export class Barrier {
  /**
   * Whether every request waits until the event loop has looked at all connections once more after it was read.
   * With several, the news that one is dead may be seen later than the request that the kernel sent again through
   * another.
   */
  readonly cautious: boolean
  readonly #gates = new Set<Gate>()
  #unsettled = 0
  #scheduled = false

  constructor(cautious: boolean) {
    this.cautious = cautious
  }

  /** Whether nothing may start. */
  get closed(): boolean {
    return this.#unsettled > 0
  }

  /** A way through it for one connection. */
  gate(device: BlockDevice): Gate {
    const gate = new Gate(device, this, (over) => this.#gates.delete(over))
    this.#gates.add(gate)
    return gate
  }

  /** Starts nothing before `settled`: a connection died, and this is when all that it had in flight is done. */
  holdUntil(settled: Promise<void>): void {
    this.#unsettled++
    void settled.then(() => {
      if (--this.#unsettled > 0) return
      // One more may have died meanwhile, unseen.
      if (this.cautious) this.schedule()
      else for (const gate of this.#gates) gate.release()
    })
  }

  /** Something is held; it may go when every connection was looked at once more. */
  schedule(): void {
    if (this.#scheduled || this.closed) return
    this.#scheduled = true
    // After what is read now, and then each time the connections were polled once more.
    setImmediate(this.#look)
  }

  readonly #look = (): void => {
    this.#scheduled = false
    if (this.closed) return
    let waiting = false
    for (const gate of this.#gates) if (gate.look()) waiting = true
    if (waiting) this.schedule()
  }
}

/** The device as one connection of a node sees it. */
export class Gate implements BlockDevice {
  readonly #device: BlockDevice
  readonly #barrier: Barrier
  readonly #onOver: (gate: Gate) => void
  #held: Io[] = []
  /** Those held that were there at the last look. */
  #seen: Io[] = []
  #over = false

  constructor(device: BlockDevice, barrier: Barrier, onOver: (gate: Gate) => void) {
    this.#device = device
    this.#barrier = barrier
    this.#onOver = onOver
  }

  get limits(): DeviceLimits {
    return this.#device.limits
  }

  submit(io: Io): void {
    if (!this.#barrier.cautious && !this.#barrier.closed) {
      this.#device.submit(io)
      return
    }
    this.#held.push(io)
    this.#barrier.schedule()
  }

  abandon(source: IoSource): void {
    this.#device.abandon?.(source)
  }

  /** Starts what was held at the last look already; whether there is more. */
  look(): boolean {
    const seen = this.#seen
    if (seen.length === 0 && this.#held.length === 0) return false
    this.#seen = this.#held
    this.#held = []
    for (const io of seen) this.#device.submit(io)
    return this.#seen.length > 0
  }

  /** Starts all that was held. */
  release(): void {
    if (this.look()) this.look()
  }

  /** The connection is dead: what has not started never will. */
  drop(): void {
    if (this.#over) return
    this.#over = true
    this.#onOver(this)
    const held = [...this.#seen, ...this.#held]
    this.#seen = []
    this.#held = []
    for (const io of held) io.done(io, Errno.ESHUTDOWN)
  }

  /** The device is not ours to close. */
  async close(): Promise<void> {
    this.drop()
  }
}
