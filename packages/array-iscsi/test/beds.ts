import type { BlockDevice, DeviceLimits, Io, IoStatus, VolumeId } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import type { MemoryOptions, MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach } from 'vitest'
import type { IscsiArray, IscsiArrayOptions } from '../src/index.ts'
import { createIscsiArray } from '../src/index.ts'
import type { LoginOptions } from './initiator.ts'
import { RawInitiator, TARGET } from './initiator.ts'

const open: AsyncDisposable[] = []
const initiators: RawInitiator[] = []

afterEach(async () => {
  for (const initiator of initiators.splice(0)) initiator.close()
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

/** Closes it after the test. */
export function use<T extends AsyncDisposable>(one: T): T {
  open.push(one)
  return one
}

/** An array over the volumes of a memory target, with initiators that log in to it. */
export interface Bed {
  readonly array: IscsiArray
  readonly memory: MemoryTarget
  login(options?: Partial<LoginOptions> & { portal?: number }): Promise<RawInitiator>
  /** Logs in, and takes unit attentions off LUN 0. */
  ready(options?: Partial<LoginOptions> & { portal?: number }): Promise<RawInitiator>
}

export async function bed(options: Partial<IscsiArrayOptions> = {}, storage: MemoryOptions = {}): Promise<Bed> {
  const target = memory({ volumes: [{ size: '16MiB', blockSize: 512 }], ports: 1, ...storage })
  const infos = await target.discover()
  const luns = await Promise.all(
    infos.map(async (info) => ({ volume: info.volume, device: await target.connect(info) })),
  )
  const array = use(await createIscsiArray({ name: TARGET, luns, ...options }))
  return bedOf(array, target)
}

export function bedOf(array: IscsiArray, target: MemoryTarget): Bed {
  const login: Bed['login'] = async ({ portal = 0, ...more } = {}) => {
    const { host, port } = array.portals[portal]!
    const initiator = await RawInitiator.dial(port, host, more.isid)
    initiators.push(initiator)
    initiator.cmdSn = more.cmdSn ?? 1
    await initiator.logIn({ port, ...more })
    return initiator
  }
  return {
    array,
    memory: target,
    login,
    async ready(options) {
      const initiator = await login(options)
      await initiator.settle()
      return initiator
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
  /** What was submitted, as `op offset length`. */
  readonly seen: string[] = []
  /** Null: Ios are kept. */
  status: IoStatus | null = null
  #woken: (() => void)[] = []

  submit(io: Io): void {
    this.seen.push(`${Object.keys(IoOp)[io.op]} ${io.offset} ${io.length}`)
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

  async close(): Promise<void> {}

  #end(io: Io, status: IoStatus): void {
    if (io.op === IoOp.Read && status === 0 && io.buffers.length === 0) io.buffers = [Buffer.alloc(io.length, 0x5a)]
    io.done(io, status)
  }
}

export const VOLUME: VolumeId = 'naa.60014051234567890123456789abcdef'

/** Settles when `test` holds; fails after ten seconds. */
export async function until(test: () => boolean, what: string): Promise<void> {
  for (let left = 2000; left > 0; left--) {
    if (test()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`never happened: ${what}`)
}
