// Two NVMe/TCP paths to one volume, one of them through a proxy that adds 30 ms: what a policy makes of it, MiB/s of reads.
//   --rounds N (5)   --seconds N (3)
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevicePair, PathSelector } from '@blockbraid/core'
import { createEmitter, createHostAgent } from '@blockbraid/core'
import { latency } from '@blockbraid/policy-latency'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { memory } from '@blockbraid/target-memory'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { createChaosProxy } from '@blockbraid/testkit'
import { median, ratio, verdict } from './statistics.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } },
})
const ROUNDS = Number(values.rounds)
const SECONDS = Number(values.seconds)
const ADDED = 30
const DEPTH = 16
const IO = 16 * 1024
const SIZE = 16 << 20

const policies: Readonly<Record<string, () => PathSelector>> = {
  'round-robin': () => roundRobin(),
  'queue-depth': () => queueDepth(),
  latency: () => latency(),
}

const transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter<never>(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** MiB/s of reads of a pair, DEPTH at once. */
async function measure(pair: BlockDevicePair): Promise<number> {
  let bytes = 0
  let over = false
  const work = async (number: number): Promise<void> => {
    for (let at = number; !over; at = (at + DEPTH) % (SIZE / IO)) bytes += (await pair.user.read(at * IO, IO)).length
  }
  const workers = Promise.all(Array.from({ length: DEPTH }, (_, number) => work(number)))
  // What a policy has to learn it has learnt by then.
  await sleep(500)
  bytes = 0
  const since = performance.now()
  await sleep(SECONDS * 1000)
  const rate = bytes / 2 ** 20 / ((performance.now() - since) / 1000)
  over = true
  await workers
  return rate
}

await using stack = new AsyncDisposableStack()
const storage = stack.adopt(memory({ volumes: [{ size: SIZE, blockSize: 4096 }], ports: 1 }), (all) => all.close())
const path = await storage.connect((await storage.discover())[0]!)
const array = stack.use(
  await createNvmeArray({
    name: 'nqn.2026-11.io.blockbraid:array',
    ports: [{}, {}],
    namespaces: [
      {
        volume: 'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10',
        device: { limits: path.limits, submit: path.submit.bind(path), close: path.close.bind(path) },
      },
    ],
  }),
)
const { host, port } = array.ports[0]!
const proxy = stack.use(await createChaosProxy({ to: { host, port } }))
proxy.delay(ADDED, 'down')
const agent = createHostAgent({
  targets: [nvmeof({ portals: [proxy.address, array.ports[1]!.address], subsystem: array.name, toldPortals: false })],
})
stack.defer(() => agent.close())
await agent.rescan()
const { id } = agent.devices().find(({ kind }) => kind === 'multipath')!
// That a path is slow is left to the policy.
const pair = await agent.pair({ name: 'volume', device: id, transport, multipath: { slow: false } })
while (pair.paths.some(({ state }) => state !== 'up')) await sleep(20)

const results = new Map<string, number[]>(Object.keys(policies).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, create] of Object.entries(policies)) {
    pair.setSelector(create)
    results.get(name)!.push(await measure(pair))
  }
}
console.log(
  `\nreads of ${IO / 1024} KiB, ${DEPTH} at once, two NVMe/TCP paths, ${ADDED} ms added to one; medians of ${ROUNDS}`,
)
for (const [name, rates] of results) console.log(`  ${name.padEnd(12)} ${median(rates).toFixed(1).padStart(8)} MiB/s`)
const value = ratio(results.get('latency')!, results.get('queue-depth')!)
console.log(verdict({ of: 'latency beside queue-depth', value, atLeast: 1.5 }))
