import type { Socket } from 'node:net'
import type { Clock } from '@blockbraid/core'
import type { Weather } from './pipe.ts'
import { Pipe } from './pipe.ts'
import type { ChaosConnection, ChaosDirection } from './types.ts'

/** Both sides of one connection through the proxy. */
export class Link implements ChaosConnection {
  readonly number: number
  readonly up: Pipe
  readonly down: Pipe
  readonly #client: Socket
  readonly #target: Socket
  readonly #over: (link: Link) => void

  /** `over` is called when both sides are gone and nothing is held. */
  constructor(
    number: number,
    client: Socket,
    target: Socket,
    weather: Readonly<Record<ChaosDirection, Weather>>,
    clock: Clock,
    over: (link: Link) => void,
  ) {
    this.number = number
    this.#client = client
    this.#target = target
    this.#over = over
    const settle = (): void => this.#settle()
    this.up = new Pipe('up', client, target, weather.up, clock, settle)
    this.down = new Pipe('down', target, client, weather.down, clock, settle)
    for (const socket of [client, target]) {
      socket.setNoDelay(true)
      // What an error says, 'close' says too.
      socket.on('error', () => {})
      socket.on('close', settle)
    }
  }

  get received() {
    return { up: this.up.received, down: this.down.received }
  }

  get held() {
    return { up: this.up.held, down: this.down.held }
  }

  get clientGone(): boolean {
    return this.up.ended
  }

  get targetGone(): boolean {
    return this.down.ended
  }

  /** Whether bytes were thrown away. */
  get torn(): boolean {
    return this.up.torn || this.down.torn
  }

  cut(): void {
    this.up.drop()
    this.down.drop()
    this.#client.destroy()
    this.#target.destroy()
  }

  /** Cuts the connection when what was passed on is out. */
  cutSoon(): void {
    this.up.drop()
    this.down.drop()
    this.#client.destroySoon()
    this.#target.destroySoon()
  }

  #settle(): void {
    const { up, down } = this
    if (this.torn) return
    // One side is gone altogether, and all it said has been passed on.
    if (this.#client.destroyed && up.drained) this.#target.destroySoon()
    if (this.#target.destroyed && down.drained) this.#client.destroySoon()
    if (up.drained && down.drained && this.#client.destroyed && this.#target.destroyed) this.#over(this)
  }
}
