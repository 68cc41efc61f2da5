import type { NvmeArrayOptions } from '@blockbraid/array-nvmeof'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import type { FencedDetail, MultipathOptions, Transport } from '@blockbraid/core'
import { createEmitter, createHostAgent } from '@blockbraid/core'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { FakeNetwork } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import { nvmeof } from '../../src/index.ts'
import { bytesOf, NVME, pause, SUBSYSTEM } from './world.ts'

const BLOCK = 512
const WORKERS = 4

const transport: Transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** How long the I/O that waited longest did so, milliseconds, and what its path was fenced by. */
interface Waits {
  readonly reads: number
  readonly writes: number
  readonly fence: FencedDetail
}

interface Scene {
  readonly array?: Partial<NvmeArrayOptions>
  readonly options?: Partial<NvmeofOptions>
  readonly multipath?: MultipathOptions
}

/** Reads and writes over two paths, of which one becomes a black hole `phase` ms after it begins. */
async function blackHole({ array: told = {}, options = {}, multipath = {} }: Scene, phase: number): Promise<Waits> {
  const host = virtualHost(phase)
  const { clock, random } = host
  const net = new FakeNetwork(clock, { random, latency: [0.05, 1] })
  const storage = memory(
    { array: createMemoryArray({ volumes: [{ size: 64 * 1024, blockSize: BLOCK }], ports: 2 }, host) },
    host,
  )
  const ports = NVME.map((address) => ({ host: address.split(':')[0]!, port: 4420 }))
  const randomBytes = bytesOf(random)
  const array = await nvmeArrayOf(
    storage,
    { name: SUBSYSTEM, ports, ...told },
    { ...host, network: net.host(), randomBytes },
  )
  const hostNqn = 'nqn.2026-11.io.blockbraid:host'
  const hostId = '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34'
  const target = nvmeof(
    { portals: NVME, subsystem: SUBSYSTEM, hostNqn, hostId, ...options },
    { ...host, network: net.host(), randomBytes },
  )
  const agent = createHostAgent({ targets: [target], host })
  const longest = { read: 0, write: 0 }
  let fence: FencedDetail | undefined
  const measure = async (): Promise<void> => {
    await agent.rescan()
    const device = agent.devices().find(({ kind }) => kind === 'multipath')!.id
    const pair = await agent.pair({ name: 'volume', device, transport, multipath })
    pair.events.on('fenced', (detail) => (fence ??= detail))
    while (pair.paths.some(({ state }) => state !== 'up')) await pause(host, 10)
    let over = false
    const work = async (number: number): Promise<void> => {
      const data = Buffer.alloc(BLOCK, number)
      for (let at = number; !over; at = (at + WORKERS) % 128) {
        const since = clock.now()
        if ((number & 1) === 0) await pair.user.read(at * BLOCK, BLOCK)
        else await pair.user.write(at * BLOCK, data)
        const kind = (number & 1) === 0 ? 'read' : 'write'
        longest[kind] = Math.max(longest[kind], (clock.now() - since) / 1000)
        await pause(host, 20)
      }
    }
    const workers = Promise.all(Array.from({ length: WORKERS }, (_, number) => work(number)))
    await pause(host, 1500 + phase)
    net.dark(NVME[0]!, ['to', 'from'], true)
    while (fence === undefined) await pause(host, 10)
    await pause(host, 100)
    over = true
    await workers
    net.dark(NVME[0]!, ['to', 'from'], false)
    await agent.close()
  }
  await clock.runUntil(measure(), 120_000)
  await clock.runUntil(Promise.all([target.close(), array.close()]))
  expect(array.violations).toEqual([])
  return { reads: longest.read, writes: longest.write, fence: fence! }
}

// When it begins, in what goes on now and then: right before a Keep Alive, right after it, and between.
const PHASES = [0, 330, 570, 910]

async function worst(scene: Scene) {
  const all: Waits[] = []
  for (const phase of PHASES) all.push(await blackHole(scene, phase))
  const by = new Set(all.map(({ fence: { by, assumed } }) => (assumed ? `${by}, assumed` : by)))
  return {
    reads: Math.max(...all.map(({ reads }) => reads)),
    writes: Math.max(...all.map(({ writes }) => writes)),
    by: [...by].join('; '),
  }
}

const NO_RESETS = { crossResets: 0 }
const TRAFFIC = { trafficKeepAlive: true }
const TOLD = { quiesceTime: 1000 }

// The longest that a read and a write may wait, milliseconds.
test.each<[string, Scene, reads: number, writes: number, by: string]>([
  ['reset by a sibling before it has missed its host', {}, 3600, 3900, 'cross-controller reset'],
  ['reset by a sibling, with traffic-based keep-alive', { array: TRAFFIC }, 3600, 3900, 'cross-controller reset'],
  ['reset by a sibling, fast', { multipath: { rideOut: 'fast' } }, 2600, 2900, 'cross-controller reset'],
  ['no resets, CQT 1 s', { array: { ...NO_RESETS, ...TOLD } }, 3600, 10_600, 'time'],
  [
    'no resets, CQT 1 s, with traffic-based keep-alive',
    { array: { ...NO_RESETS, ...TOLD, ...TRAFFIC } },
    3600,
    10_600,
    'time',
  ],
  ['no resets, CQT 4 s', { array: { ...NO_RESETS, quiesceTime: 4000 } }, 3600, 10_600, 'time'],
  [
    'no resets, no CQT, but an option that says 4 s',
    { array: NO_RESETS, options: { quiesceTime: 4000 } },
    3600,
    10_600,
    'time, assumed',
  ],
  // What is taken for its CQT is 10 s alone.
  ['no resets, no CQT', { array: NO_RESETS }, 3600, 16_500, 'time, assumed'],
  [
    'no resets, no CQT, with traffic-based keep-alive',
    { array: { ...NO_RESETS, ...TRAFFIC } },
    3600,
    19_500,
    'time, assumed',
  ],
])('a path that swallows everything under load, %s', async (_name, scene, reads, writes, by) => {
  const waits = await worst(scene)
  expect(waits.reads).toBeLessThan(reads)
  expect(waits.writes).toBeLessThan(writes)
  expect(waits.by).toBe(by)
})
