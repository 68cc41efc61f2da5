import type { BlockDevice, DeviceLimits, Host, Io, IoStatus, Timer, VolumeId } from '@blockbraid/core'
import { IoOp, systemClock } from '@blockbraid/core'
import type { MemoryOptions, MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach } from 'vitest'
import type { NvmeArray, NvmeArrayOptions } from '../src/index.ts'
import { createNvmeArray } from '../src/index.ts'
import type { ConnectOptions, InitializeOptions } from './host.ts'
import { RawHost, SUBSYSTEM } from './host.ts'

const open: AsyncDisposable[] = []
const hosts: RawHost[] = []

afterEach(async () => {
  for (const host of hosts.splice(0)) host.close()
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

/** Closes it after the test. */
export function use<T extends AsyncDisposable>(one: T): T {
  open.push(one)
  return one
}

export type DialOptions = InitializeOptions & ConnectOptions & { port?: number }

/** An admin queue and an I/O queue of one controller. */
export interface Pair {
  readonly admin: RawHost
  readonly io: RawHost
}

/** An array over the volumes of a memory target, with hosts that connect to it. */
export interface Bed {
  readonly array: NvmeArray
  readonly memory: MemoryTarget
  /** A connection that has said nothing. */
  dial(port?: number): Promise<RawHost>
  /** An admin queue that is connected, and enabled. */
  admin(options?: DialOptions): Promise<RawHost>
  /** The same, and an I/O queue. */
  pair(options?: DialOptions): Promise<Pair>
  /** Another I/O queue of a controller. */
  queue(admin: RawHost, qid: number, options?: DialOptions): Promise<RawHost>
}

/** Time that stands still until it is moved; what is due at once comes at once. */
export class ManualHost implements Host {
  readonly random = Math.random
  readonly clock: Host['clock'] = {
    now: () => this.#now * 1000,
    after: (ms, callback) => this.#after(ms, callback),
    defer: (callback) => systemClock.defer(callback),
  }
  #now = 1000
  readonly #timers = new Set<{ at: number; callback: () => void }>()

  /** Moves it on, ms, timer by timer. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = next.at
      next.callback()
    }
    this.#now = end
  }

  #after(ms: number, callback: () => void): Timer {
    if (ms === 0) return systemClock.after(0, callback)
    const timer = { at: this.#now + ms, callback }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }
}

export async function bed(
  options: Partial<NvmeArrayOptions> = {},
  storage: MemoryOptions = {},
  host?: Host,
): Promise<Bed> {
  const target = memory({ volumes: [{ size: '16MiB', blockSize: 512 }], ports: 1, ...storage })
  const infos = await target.discover()
  const namespaces = await Promise.all(
    infos.map(async (info) => ({ volume: info.volume, device: await target.connect(info) })),
  )
  return bedOf(use(await createNvmeArray({ name: SUBSYSTEM, namespaces, ...options }, host)), target)
}

export function bedOf(array: NvmeArray, target: MemoryTarget): Bed {
  const dial: Bed['dial'] = async (number = 0) => {
    const { host, port } = array.ports[number]!
    const made = await RawHost.dial(port, host)
    hosts.push(made)
    return made
  }
  const connected = async (options: DialOptions): Promise<RawHost> => {
    const host = await dial(options.port)
    await host.initialize(options)
    const { status, result } = await host.connect(options)
    if (status !== 0) throw new Error(`Connect: 0x${status.toString(16)}, 0x${result.toString(16)}`)
    return host
  }
  const admin: Bed['admin'] = async (options = {}) => {
    const host = await connected(options)
    await host.enable()
    return host
  }
  const queue: Bed['queue'] = (host, qid, options = {}) =>
    connected({ ...options, qid, controllerId: host.controllerId })
  return {
    array,
    memory: target,
    dial,
    admin,
    queue,
    async pair(options = {}) {
      const host = await admin(options)
      return { admin: host, io: await queue(host, 1, options) }
    },
  }
}

/** A device that keeps Ios until it is told to end them. */
export class HeldDevice implements BlockDevice {
  limits: DeviceLimits = {
    size: 1024 * 1024,
    blockSize: 512,
    preferredBlockSize: 4096,
    maxTransfer: 1024 * 1024,
    queueDepth: 128,
    writeCache: true,
    fua: true,
    trim: true,
    writeZeroes: true,
    readOnly: false,
  }
  readonly held: Io[] = []
  /** What was submitted, as `op offset length flags`. */
  readonly seen: string[] = []
  /** Null: Ios are kept. */
  status: IoStatus | null = null
  closes = 0
  #woken: (() => void)[] = []

  submit(io: Io): void {
    this.seen.push(`${Object.keys(IoOp)[io.op]} ${io.offset} ${io.length} ${io.flags}`)
    if (this.status === null) this.held.push(io)
    else queueMicrotask(() => this.#end(io, this.status ?? 0))
    for (const wake of this.#woken.splice(0)) wake()
  }

  /** Settles when so many Ios are held. */
  async holds(count: number): Promise<void> {
    while (this.held.length < count) await new Promise<void>((resolve) => this.#woken.push(resolve))
  }

  release(status: IoStatus = 0): void {
    for (const io of this.held.splice(0)) this.#end(io, status)
  }

  async close(): Promise<void> {
    this.closes++
  }

  #end(io: Io, status: IoStatus): void {
    if (io.op === IoOp.Read && status === 0 && io.buffers.length === 0) io.buffers = [Buffer.alloc(io.length, 0x5a)]
    io.done(io, status)
  }
}

export const VOLUME: VolumeId = 'uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8'

/** Settles when `test` holds; fails after ten seconds. */
export async function until(test: () => boolean, what: string): Promise<void> {
  for (let left = 2000; left > 0; left--) {
    if (test()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`never happened: ${what}`)
}
