import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { Host, Timer } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import { Link } from './link.ts'
import type { Weather } from './pipe.ts'
import type { ChaosConnection, ChaosDirection, ChaosProxy, ChaosProxyOptions } from './types.ts'

/** Starts a proxy before a TCP server; rejects where the address cannot be had. */
export async function createChaosProxy(options: ChaosProxyOptions, host: Host = systemHost): Promise<ChaosProxy> {
  const proxy = new TcpProxy(options, host)
  await proxy.refuse(false)
  return proxy
}

/** A mark for every connection, of which one meets it. */
interface SharedMark {
  readonly direction: ChaosDirection
  readonly offset: number
  readonly behind: boolean
  readonly act: (link: Link, chunk: Buffer, at: number) => boolean
  done: boolean
}

class TcpProxy implements ChaosProxy {
  readonly host: string
  port: number
  accepted = 0
  readonly #to: { host: string; port: number }
  readonly #clock: Host['clock']
  readonly #server: Server
  readonly #links = new Set<Link>()
  /** Clients that came while nothing got through. */
  readonly #limbo = new Set<Socket>()
  readonly #weather: Readonly<Record<ChaosDirection, Weather>> = { up: calm(), down: calm() }
  readonly #timers = new Set<Timer>()
  #marks: SharedMark[] = []
  #closed: Promise<void> | undefined

  constructor({ to, listen = {} }: ChaosProxyOptions, host: Host) {
    this.#to = to
    this.#clock = host.clock
    this.host = listen.host ?? '127.0.0.1'
    this.port = listen.port ?? 0
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  get connections(): readonly ChaosConnection[] {
    return [...this.#links]
  }

  cut(): void {
    for (const link of this.#links) link.cut()
  }

  blackhole(on: boolean): void {
    this.#weather.up.dark = on
    this.#weather.down.dark = on
    if (on) return
    for (const link of this.#links) if (link.torn) link.cut()
    for (const client of this.#limbo) client.destroy()
  }

  hold(direction: ChaosDirection | 'both' = 'both'): void {
    for (const one of sides(direction)) this.#weather[one].held = true
  }

  release(direction: ChaosDirection | 'both' = 'both'): void {
    for (const one of sides(direction)) {
      this.#weather[one].held = false
      for (const link of this.#links) link[one].pump()
    }
  }

  delay(milliseconds: number, direction: ChaosDirection | 'both' = 'both'): void {
    for (const one of sides(direction)) this.#weather[one].delay = amount('milliseconds', milliseconds)
  }

  limit(bytesPerSecond: number, direction: ChaosDirection | 'both' = 'both'): void {
    for (const one of sides(direction)) this.#weather[one].limit = amount('bytesPerSecond', bytesPerSecond)
  }

  corruptAt(offset: number, direction: ChaosDirection): void {
    this.#mark(direction, offset, false, (_link, chunk, at) => {
      chunk[at]! ^= 0x01
      return true
    })
  }

  cutAt(offset: number, direction: ChaosDirection): void {
    this.#mark(direction, offset, true, (link) => {
      link.cutSoon()
      return false
    })
  }

  atByte(offset: number, direction: ChaosDirection, callback: (connection: ChaosConnection) => void): void {
    this.#mark(direction, offset, true, (link) => {
      callback(link)
      return true
    })
  }

  async refuse(on: boolean): Promise<void> {
    const listens = this.#server.listening
    if (on && listens) {
      // Its callback waits for the last connection; refusing begins at once.
      this.#server.close()
    } else if (!on && !listens) {
      this.#server.listen({ host: this.host, port: this.port })
      await once(this.#server, 'listening')
      this.port = (this.#server.address() as AddressInfo).port
    }
  }

  after(milliseconds: number, action: (proxy: ChaosProxy) => void): () => void {
    const timer = this.#clock.after(milliseconds, () => {
      this.#timers.delete(timer)
      action(this)
    })
    this.#timers.add(timer)
    return () => this.#callOff(timer)
  }

  every(milliseconds: number, action: (proxy: ChaosProxy) => void): () => void {
    const again = (): (() => void) =>
      this.after(milliseconds, () => {
        stop = again()
        action(this)
      })
    let stop = again()
    return () => stop()
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    const sockets = [...this.#limbo]
    this.cut()
    for (const client of sockets) client.destroy()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #callOff(timer: Timer): void {
    timer.cancel()
    this.#timers.delete(timer)
  }

  #accept(client: Socket): void {
    const number = this.accepted++
    if (this.#weather.up.dark) {
      this.#limbo.add(client)
      client.on('error', () => {})
      client.on('close', () => this.#limbo.delete(client))
      client.resume()
      return
    }
    const target = connect({ ...this.#to, allowHalfOpen: true })
    const link = new Link(number, client, target, this.#weather, this.#clock, (over) => this.#links.delete(over))
    this.#links.add(link)
    this.#marks = this.#marks.filter((mark) => !mark.done)
    for (const mark of this.#marks) this.#put(link, mark)
  }

  #mark(direction: ChaosDirection, offset: number, behind: boolean, act: SharedMark['act']): void {
    const mark = { direction, offset: amount('offset', offset), behind, act, done: false }
    this.#marks.push(mark)
    for (const link of this.#links) this.#put(link, mark)
  }

  #put(link: Link, mark: SharedMark): void {
    link[mark.direction].mark({
      left: mark.offset,
      behind: mark.behind,
      done: () => mark.done,
      act: (chunk, at) => {
        mark.done = true
        return mark.act(link, chunk, at)
      },
    })
  }
}

function calm(): Weather {
  return { held: false, delay: 0, limit: 0, dark: false }
}

function sides(direction: ChaosDirection | 'both'): readonly ChaosDirection[] {
  if (direction === 'both') return ['up', 'down']
  if (direction === 'up' || direction === 'down') return [direction]
  throw new TypeError(`direction is ${JSON.stringify(direction)}; it must be up, down or both`)
}

function amount(field: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value
  throw new TypeError(`${field} is ${value}; it must be a number from 0 on`)
}
