import type { Socket } from 'node:net'
import type { Clock, SignalOptions, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Endpoint } from './connection.ts'
import { FakeWire } from './fake-wire.ts'
import type { ListenAddress, ListenOptions, WireListener } from './listening.ts'
import type { Network } from './network.ts'
import type { DetachableWire, Wire } from './wire.ts'

/** How a {@link FakeNetwork} behaves. */
export interface FakeNetworkOptions {
  /** Numbers from 0 up to, and not including, 1. */
  readonly random: () => number
  /** Milliseconds from one end to the other, at least and at most; each connection draws its own. @defaultValue [0.05, 0.05] */
  readonly latency?: readonly [number, number]
  /** Bytes on their way and not read, in each direction of a connection. @defaultValue no limit */
  readonly window?: number
  /** Whether what arrives is cut into pieces. @defaultValue true */
  readonly pieces?: boolean
}

/** One of two directions of the connections of an address: to whom listens there, or from there. */
export type FakeSide = 'to' | 'from'

/** A wire of the network. */
class NetworkWire extends FakeWire implements DetachableWire {
  detach(): Socket {
    throw new Error('a fake wire has no socket')
  }
}

interface Link {
  readonly client: NetworkWire
  readonly server: NetworkWire
  /** Who has opened it. */
  readonly opener: FakeHost
}

/** An address, listened at or not. */
class Place {
  listener: FakeListener | undefined
  /** How connects are answered. */
  mood: 'open' | 'refused' | 'silent' = 'open'
  readonly dark = { to: false, from: false }
  extra = 0
  window: number | undefined
  readonly links = new Set<Link>()
}

class FakeListener implements WireListener {
  readonly port: number
  connections = 0
  readonly options: ListenOptions
  readonly #place: Place
  #idle: (() => void) | undefined
  #closed = false

  constructor(port: number, options: ListenOptions, place: Place) {
    this.port = port
    this.options = options
    this.#place = place
  }

  left(): void {
    this.connections--
    if (this.#closed && this.connections === 0) this.#idle?.()
  }

  close(): Promise<void> {
    this.#closed = true
    if (this.#place.listener === this) this.#place.listener = undefined
    return new Promise((resolve) => {
      this.#idle = resolve
      if (this.connections === 0) resolve()
    })
  }
}

/** One machine, or process, in a network: what it has opened ends with it. */
class FakeHost implements Network {
  ended = false
  readonly #net: FakeNetwork

  constructor(net: FakeNetwork) {
    this.#net = net
  }

  open(endpoint: Endpoint, _shared: unknown, options: SignalOptions = {}): Promise<Wire> {
    return this.#net.connect(this, endpoint, options)
  }

  listen(where: ListenAddress, options: ListenOptions): Promise<WireListener> {
    return this.#net.listen(where, options)
  }
}

// What a connect that nobody answers ends with by itself, as TCP does, milliseconds.
const GIVE_UP = 127_000

/**
 * A network in virtual time: connections between fake wires, by address, and what goes wrong with them. The same clock,
 * randomness and calls give the same course.
 */
export class FakeNetwork {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #latency: readonly [number, number]
  readonly #window: number | undefined
  readonly #pieces: boolean
  readonly #places = new Map<string, Place>()
  readonly #wires = new Set<NetworkWire>()
  #lastPort = 49_151

  constructor(clock: Clock, { random, latency = [0.05, 0.05], window, pieces = true }: FakeNetworkOptions) {
    this.#clock = clock
    this.#random = random
    this.#latency = latency
    this.#window = window
    this.#pieces = pieces
  }

  /** Connections that are not over at both ends. */
  get connections(): number {
    let count = 0
    for (const { links } of this.#places.values()) count += links.size
    return count
  }

  /** Slabs that were held, of all wires, and not let go of. */
  get held(): number {
    let held = 0
    for (const wire of this.#wires) held += wire.held
    return held
  }

  /** What a process opens connections in. */
  host(): Network {
    return new FakeHost(this)
  }

  /** The process of a host has ended: its connections end as sockets do whose process is gone. */
  endHost(host: Network): void {
    if (host instanceof FakeHost) host.ended = true
    for (const { links } of this.#places.values()) {
      for (const { client, opener } of [...links]) if (opener === host) client.destroy()
    }
  }

  /** Ends one connection of an address, drawn by chance, or all: by RST that both ends hear of, or by FIN. */
  cut(address: string, how: 'reset' | 'end', all = false): void {
    const links = [...this.#place(address).links]
    const chosen = all ? links : links.slice(Math.floor(this.#random() * links.length)).slice(0, 1)
    for (const { client, server } of chosen) {
      for (const wire of [client, server]) {
        if (how === 'reset') wire.fail('ECONNRESET')
        else wire.finish()
      }
    }
  }

  /** How connects to an address are answered. */
  answer(address: string, mood: 'open' | 'refused' | 'silent'): void {
    this.#place(address).mood = mood
  }

  /** Nothing arrives in one direction, or in both, while it is dark; connects have no answer then. */
  dark(address: string, sides: readonly FakeSide[], dark: boolean): void {
    const place = this.#place(address)
    for (const side of sides) place.dark[side] = dark
    for (const link of [...place.links]) this.#shade(place, link)
  }

  /** What is sent from now on over the connections of an address takes so much longer, milliseconds. */
  slow(address: string, milliseconds: number): void {
    const place = this.#place(address)
    place.extra = milliseconds
    for (const { client, server } of place.links) client.latency = server.latency = this.#draw() + milliseconds
  }

  /** Bytes that may be on their way and not read, for connections of an address. */
  narrow(address: string, bytes: number): void {
    const place = this.#place(address)
    place.window = bytes
    for (const { client, server } of place.links) client.window = server.window = bytes
  }

  /** Everything works again, with what is opened later. */
  heal(): void {
    for (const [address, place] of this.#places) {
      place.mood = 'open'
      this.dark(address, ['to', 'from'], false)
      this.slow(address, 0)
      this.narrow(address, this.#window ?? Number.POSITIVE_INFINITY)
    }
  }

  /** @internal */
  listen(where: ListenAddress, options: ListenOptions): Promise<WireListener> {
    if ('path' in where) throw new TypeError(`a fake network has no path ${where.path}`)
    const port = where.port > 0 ? where.port : ++this.#lastPort
    const place = this.#place(addressOf(where.host, port))
    if (place.listener !== undefined) {
      const message = `listen EADDRINUSE: address already in use ${where.host}:${port}`
      return Promise.reject(Object.assign(new Error(message), { code: 'EADDRINUSE', syscall: 'listen' }))
    }
    place.listener = new FakeListener(port, options, place)
    return Promise.resolve(place.listener)
  }

  /** @internal */
  connect(opener: FakeHost, { host, port }: Endpoint, { signal }: SignalOptions): Promise<Wire> {
    const place = this.#place(addressOf(host, port))
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => settle(() => reject(signal?.reason))
      const settle = (then: () => void): void => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        then()
      }
      const failed = (code: string): void => {
        const cause = Object.assign(new Error(`connect ${code}`), { code })
        settle(() => reject(new BlockError('CONNECT_FAILED', `connect ${code}`, { cause })))
      }
      const reach = (): void => {
        if (opener.ended) return
        if (place.mood === 'silent' || place.dark.to || place.dark.from) {
          timer = this.#clock.after(GIVE_UP, () => failed('ETIMEDOUT'))
          return
        }
        const { listener } = place
        if (place.mood === 'refused' || listener === undefined) return failed('ECONNREFUSED')
        settle(() => resolve(this.#link(place, listener, opener)))
      }
      let timer: Timer = this.#clock.after(2 * (this.#draw() + place.extra), reach)
      signal?.addEventListener('abort', onAbort)
    })
  }

  #link(place: Place, listener: FakeListener, opener: FakeHost): Wire {
    const latency = this.#draw() + place.extra
    const options = {
      window: place.window ?? this.#window ?? Number.POSITIVE_INFINITY,
      ...(this.#pieces && { random: this.#random }),
    }
    const client = new NetworkWire(this.#clock, options, latency)
    const server = new NetworkWire(this.#clock, options, latency)
    FakeWire.join(client, server)
    const link: Link = { client, server, opener }
    place.links.add(link)
    this.#wires.add(client).add(server)
    const gone = (wire: NetworkWire): void => {
      if (wire === server) listener.left()
      if (client.closed && server.closed) this.#over(place, link)
    }
    client.onOver = () => gone(client)
    server.onOver = () => gone(server)
    listener.connections++
    listener.options.accept(server)
    return client
  }

  #shade({ dark }: Place, { client, server }: Link): void {
    // Nobody sends again what an end had sent that is over by now: it may arrive late, or never.
    if (!dark.to && client.closed && this.#random() < 0.5) client.lose()
    if (!dark.from && server.closed && this.#random() < 0.5) server.lose()
    client.dark = dark.to
    server.dark = dark.from
  }

  #over(place: Place, link: Link): void {
    place.links.delete(link)
    for (const wire of [link.client, link.server]) if (wire.held === 0) this.#wires.delete(wire)
  }

  #place(address: string): Place {
    const known = this.#places.get(address)
    if (known !== undefined) return known
    const made = new Place()
    this.#places.set(address, made)
    return made
  }

  #draw(): number {
    const [least, most] = this.#latency
    return least + (most - least) * this.#random()
  }
}

function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
