import type { Clock } from '@blockbraid/core'
import type { DetachableWire, Network, NetworkHost, Wire, WireListener } from '@blockbraid/wire'
import { InputPool, InputWindow, networkOf, OutboxPool } from '@blockbraid/wire'
import type { DiscoveryPort } from './controller/host.ts'
import type { NvmePortOptions } from './options/options.ts'
import type { NvmePort } from './options/types.ts'
import { Connection } from './queue/connection.ts'
import type { ConnectionHost, TappedConnection } from './queue/host.ts'
import { Handshakes } from './tls/handshakes.ts'
import type { KeyOf } from './tls/keys.ts'

/** Slabs that a port keeps for the next burst. */
const SPARE = 8

/** An address that listens, and its connections. */
export class Port implements NvmePort, DiscoveryPort {
  readonly number: number
  readonly host: string
  readonly serves: 'both' | 'subsystem' | 'discovery'
  readonly open = new Set<Connection>()
  port: number
  #advertised: string | undefined
  readonly #hostFor: () => ConnectionHost
  readonly #changed: () => void
  readonly #clock: Clock
  readonly #network: Network
  readonly #inputs = new InputPool(SPARE)
  readonly #window = new InputWindow(this.#inputs)
  readonly #outputs = new OutboxPool(SPARE)
  readonly #handshakes: Handshakes | undefined
  #listener: WireListener | undefined
  #dark = false

  /** `hostFor` gives what a new connection needs; `tls`: its keys, and ms that a handshake may take; `changed` is called when the discovery log is another one. */
  constructor(
    number: number,
    options: Required<NvmePortOptions>,
    host: NetworkHost,
    tls: { readonly keyOf: KeyOf; readonly timeout: number } | undefined,
    hostFor: () => ConnectionHost,
    changed: () => void,
  ) {
    this.number = number
    this.host = options.host
    this.port = options.port
    this.serves = options.serves
    this.#hostFor = hostFor
    this.#changed = changed
    this.#clock = host.clock
    this.#network = networkOf(host)
    const shared = { clock: host.clock, inputs: this.#inputs, outputs: this.#outputs }
    this.#handshakes = tls === undefined ? undefined : new Handshakes(tls.keyOf, shared, tls.timeout)
  }

  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`
  }

  get advertised(): string {
    return this.#advertised ?? this.address
  }

  set advertised(address: string) {
    if (address === this.advertised) return
    this.#advertised = address
    this.#changed()
  }

  get connections(): number {
    return this.open.size + (this.#handshakes?.size ?? 0)
  }

  cut(): void {
    this.#handshakes?.abort()
    for (const connection of [...this.open]) connection.destroy()
  }

  reset(): void {
    this.#handshakes?.abort()
    // Admin queues last: where one ends, those of its controller end in order.
    const all = [...this.open].sort((a, b) => Number(a.admin) - Number(b.admin))
    for (const connection of all) connection.reset()
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

  /** A connection is gone. */
  forget(connection: TappedConnection): void {
    this.open.delete(connection as Connection)
  }

  #accept(wire: DetachableWire): void {
    if (this.#handshakes === undefined) this.#enter(wire)
    else this.#handshakes.begin(wire, (secure) => this.#enter(secure))
  }

  #enter(wire: Wire): void {
    const connection = new Connection(this.#hostFor(), wire)
    this.open.add(connection)
    if (this.#dark) connection.setDark(true)
  }
}
