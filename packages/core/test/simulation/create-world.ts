import { createMemoryArray } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import { BlockHistory, createSharedLedger } from '@blockbraid/testkit'
import type { Kind, Seams } from './kinds.ts'
import { createTwin } from './twin.ts'
import type { World } from './world.ts'
import { BLOCKS, CLIENTS, PORTS } from './world.ts'

export function createWorld(host: VirtualHost, kinds: ReadonlySet<Kind>, seams: Seams): World {
  const { random } = host
  const some = (): boolean => random() < 0.7
  const array = createMemoryArray(
    {
      volumes: [
        { size: 64 * 1024, blockSize: 512, writeCache: some(), fua: some(), trim: some(), writeZeroes: some() },
      ],
      ports: PORTS,
      latency: { base: 200, jitter: 800 },
      maxTransfer: 4096,
      fenceDelay: 3000,
      log: true,
    },
    host,
  )
  let waiting: (() => void)[] = []
  let fail: (error: unknown) => void = () => {}
  const fault = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  fault.catch(() => {})
  const world: World = {
    host,
    kinds,
    seams,
    array,
    twin: kinds.has('twin') ? createTwin(array, host) : undefined,
    ledger: createSharedLedger(host.clock, random),
    histories: Array.from({ length: CLIENTS * BLOCKS }, () => new BlockHistory(0)),
    clients: [],
    connections: new Set(),
    paths: new Set(),
    left: new Set(),
    process: undefined,
    begun: 0,
    generations: 0,
    losses: 0,
    switched: 0,
    fault,
    fail,
    change: () => new Promise((resolve) => waiting.push(resolve)),
    wake() {
      const all = waiting
      waiting = []
      for (const wake of all) wake()
    },
    disconnectAll(tell) {
      for (const connection of [...world.connections]) {
        connection.lose()
        tell?.(connection.source)
      }
    },
    newsIsGone() {
      for (const client of world.clients) client.told = world.losses
      world.left.clear()
    },
  }
  return world
}
