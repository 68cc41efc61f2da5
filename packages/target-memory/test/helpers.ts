import type { BlockDevice, IoStatus, Path } from '@blockbraid/core'
import { Io, IoOp } from '@blockbraid/core'
import type { VirtualHost } from '@blockbraid/testkit'
import { virtualHost } from '@blockbraid/testkit'
import type { MemoryOptions, MemoryTarget } from '../src/index.ts'
import { memory } from '../src/index.ts'

export interface Sent {
  readonly io: Io
  /** Undefined until done. */
  status: IoStatus | undefined
  readonly end: Promise<IoStatus>
}

/** Submits an Io. */
export function send(device: BlockDevice, op: IoOp, offset: number, buffers: Uint8Array[] | number, flags = 0): Sent {
  const io = new Io()
  io.op = op
  io.flags = flags
  io.offset = offset
  if (typeof buffers === 'number') io.length = buffers
  else {
    io.buffers = buffers
    io.length = buffers.reduce((sum, view) => sum + view.length, 0)
  }
  let settle: (status: IoStatus) => void
  const sent: Sent = { io, status: undefined, end: new Promise((resolve) => (settle = resolve)) }
  io.done = (_io, status) => {
    if (sent.status !== undefined) throw new Error('done was called twice')
    sent.status = status
    settle(status)
  }
  device.submit(io)
  return sent
}

export const block = (fill: number, length = 4096): Uint8Array => new Uint8Array(length).fill(fill)
export const write = (device: BlockDevice, offset: number, data: Uint8Array, flags = 0): Sent =>
  send(device, IoOp.Write, offset, [data], flags)
export const flush = (device: BlockDevice): Sent => send(device, IoOp.Flush, 0, 0)

export async function read(device: BlockDevice, offset: number, length: number): Promise<Uint8Array> {
  const data = new Uint8Array(length)
  const status = await send(device, IoOp.Read, offset, [data]).end
  if (status !== 0) throw new Error(`read ended with ${status}`)
  return data
}

export interface Rig {
  readonly host: VirtualHost
  readonly target: MemoryTarget
  readonly array: MemoryTarget['array']
  /** Opens the path to volume `volume` through port `port`. */
  open(port: number, volume?: number): Promise<Path>
}

/** A target of one 1 MiB volume and four ports in virtual time; `options` change that. */
export function rig(options: MemoryOptions = {}, seed = 1): Rig {
  const host = virtualHost(seed)
  const target = memory({ ...(options.array ? {} : { volumes: [{ size: '1MiB' }] }), ...options }, host)
  return {
    host,
    target,
    array: target.array,
    async open(port, volume = 0) {
      const id = target.array.volumes[volume]!.id
      const info = (await target.discover()).find((one) => one.volume === id && one.id.includes(`/port${port}/`))
      return target.connect(info!)
    },
  }
}

/** Lets everything happen that needs no time. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
