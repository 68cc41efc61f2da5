import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { TargetPort } from './scsi/unit.ts'
import type { ConnectionHost } from './session/connection.ts'
import { Connection } from './session/connection.ts'
import type { IscsiPortal } from './types.ts'

/** An address that listens, and its connections. */
export class Portal implements IscsiPortal, TargetPort {
  readonly number: number
  readonly host: string
  readonly group: number
  readonly open = new Set<Connection>()
  port: number
  readonly #server: Server
  #advertised: string | undefined
  readonly #hostFor: () => ConnectionHost
  #dark = false

  /** `hostFor` gives what a new connection needs. */
  constructor(number: number, options: { host: string; port: number; group: number }, hostFor: () => ConnectionHost) {
    this.number = number
    this.host = options.host
    this.port = options.port
    this.group = options.group
    this.#hostFor = hostFor
    this.#server = createServer((socket) => this.#accept(socket))
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

  async down(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  async up(): Promise<void> {
    if (this.#server.listening) return
    this.#server.listen({ host: this.host, port: this.port })
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  blackhole(on: boolean): void {
    this.#dark = on
    for (const connection of this.open) connection.setDark(on)
  }

  #accept(socket: Socket): void {
    const connection = new Connection(this.#hostFor(), socket)
    this.open.add(connection)
    socket.on('close', () => this.open.delete(connection))
    if (this.#dark) connection.setDark(true)
  }
}
