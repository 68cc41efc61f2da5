import type { Clock } from '@blockbraid/core'
import type { Network, NetworkHost, Wire, WireListener } from '@blockbraid/wire'
import { InputPool, InputWindow, networkOf, OutboxPool } from '@blockbraid/wire'
import type { IscsiPortalOptions } from './options.ts'
import type { TargetPort } from './scsi/unit.ts'
import type { ConnectionHost } from './session/connection.ts'
import { Connection } from './session/connection.ts'
import type { IscsiPortal } from './types.ts'

/** Slabs that a portal keeps for the next burst. */
const SPARE = 8

/** An address that listens, and its connections. */
export class Portal implements IscsiPortal, TargetPort {
  readonly number: number
  readonly host: string
  readonly group: number
  readonly open = new Set<Connection>()
  port: number
  #advertised: string | undefined
  readonly #hostFor: () => ConnectionHost
  readonly #clock: Clock
  readonly #network: Network
  readonly #inputs = new InputPool(SPARE)
  readonly #window = new InputWindow(this.#inputs)
  readonly #outputs = new OutboxPool(SPARE)
  #listener: WireListener | undefined
  #dark = false

  /** `hostFor` gives what a new connection needs. */
  constructor(number: number, options: Required<IscsiPortalOptions>, host: NetworkHost, hostFor: () => ConnectionHost) {
    this.number = number
    this.host = options.host
    this.port = options.port
    this.group = options.group
    this.#hostFor = hostFor
    this.#clock = host.clock
    this.#network = networkOf(host)
  }

  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`
  }

  get advertised(): string {
    return this.#advertised ?? this.address
  }

  set advertised(address: string) {
    this.#advertised = address
  }

  get connections(): number {
    return this.open.size
  }

  cut(): void {
    for (const connection of [...this.open]) connection.destroy()
  }

  reset(): void {
    for (const connection of [...this.open]) connection.reset()
  }

  async down(): Promise<void> {
    const closed = this.#listener?.close()
    this.#listener = undefined
    this.cut()
    await closed
  }

  async up(): Promise<void> {
    if (this.#listener !== undefined) return
    this.#listener = await this.#network.listen(
      { host: this.host, port: this.port },
      {
        clock: this.#clock,
        inputs: this.#inputs,
        outputs: this.#outputs,
        window: this.#window,
        maxConnections: Number.POSITIVE_INFINITY,
        keepAlive: 0,
        accept: (wire) => this.#accept(wire),
      },
    )
    this.port = this.#listener.port
  }

  blackhole(on: boolean): void {
    this.#dark = on
    for (const connection of this.open) connection.setDark(on)
  }

  #accept(wire: Wire): void {
    const connection = new Connection(this.#hostFor(), wire)
    this.open.add(connection)
    if (this.#dark) connection.setDark(true)
  }
}
