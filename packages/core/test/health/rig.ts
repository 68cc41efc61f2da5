import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import { pattern, patternFault, randomInt } from '@blockbraid/testkit'
import type { HealthDetail, MultipathDevice, MultipathOptions, PathSelector, PathStatus } from '../../src/index.ts'
import { delay, Io, IoOp, OK, openMultipath } from '../../src/index.ts'
import { inTurn } from '../support/rig.ts'

const BLOCK = 4096
const BLOCKS = 256

/** A multipath device over a simulated array, with what its health has told. */
export interface Ward {
  readonly host: VirtualHost
  readonly array: MemoryArray
  readonly device: MultipathDevice
  readonly told: HealthDetail[]
  path(port: number): PathStatus
}

export interface WardOptions {
  readonly ports?: number
  readonly multipath?: MultipathOptions
  readonly selector?: () => PathSelector
  /** Changes the array before it is opened. */
  readonly prepare?: (array: MemoryArray) => void
}

export async function openWard(
  host: VirtualHost,
  { ports = 4, multipath = {}, selector = inTurn, prepare }: WardOptions = {},
): Promise<Ward> {
  const volume = { size: BLOCK * BLOCKS, blockSize: 512 as const }
  const array = createMemoryArray({ volumes: [volume], ports, latency: { base: 200, jitter: 100 } }, host)
  prepare?.(array)
  const target = memory({ array }, host)
  const infos = await target.discover()
  const sources = infos.map((info) => ({ target, info }))
  const { id } = array.volumes[0]!
  const device = await openMultipath(id, sources, { host, multipath, selector })
  const told: HealthDetail[] = []
  device.events.on('health', (detail) => told.push(detail))
  const path = (port: number): PathStatus => device.paths.find((each) => each.id.includes(`/port${port}/`))!
  return { host, array, device, told, path }
}

/** What a load has seen. */
export interface Load {
  done: number
  /** Longest time that an I/O took, ms. */
  longest: number
  stop(): Promise<void>
}

/** Reads and writes from `clients` at once, each `pause` ms after its last; every byte that is read is checked. */
export function load({ host, device }: Ward, clients = 8, pause = 2, writes = 0.3): Load {
  let over = false
  const seen: Load = { done: 0, longest: 0, stop: async () => {} }
  const share = BLOCKS / clients
  const work = async (client: number): Promise<void> => {
    const generations = new Map<number, number>()
    while (!over) {
      const block = client * share + randomInt(host.random, share)
      const known = generations.get(block)
      const stamp = { seed: client, offset: block * BLOCK, generation: (known ?? 0) + 1 }
      const write = host.random() < writes
      const buffer = write ? pattern(BLOCK, stamp) : Buffer.alloc(BLOCK)
      const begun = host.clock.now()
      const status = await submit(device, write ? IoOp.Write : IoOp.Read, block * BLOCK, buffer)
      if (status !== OK) throw new Error(`client ${client}: status ${status}`)
      seen.longest = Math.max(seen.longest, (host.clock.now() - begun) / 1000)
      seen.done++
      if (write) generations.set(block, stamp.generation)
      else if (known !== undefined) {
        const fault = patternFault(buffer, { ...stamp, generation: known })
        if (fault !== undefined) throw new Error(`client ${client}: ${fault}`)
      }
      await delay(host.clock, pause * (0.5 + host.random()))
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, client) => work(client)))
  all.catch(() => {})
  seen.stop = async () => {
    over = true
    await all
  }
  return seen
}

function submit(device: MultipathDevice, op: IoOp, offset: number, buffer: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    const io = new Io()
    io.op = op
    io.offset = offset
    io.length = buffer.length
    io.buffers = [buffer]
    io.done = (_io, status) => resolve(status)
    device.submit(io)
  })
}

/** Seconds of virtual time. */
export const wait = (host: VirtualHost, seconds: number): Promise<void> => delay(host.clock, seconds * 1000)
