// Two NVMe/TCP paths to one volume, one of them through a proxy that adds to its latency: what a policy makes of it, MiB/s of
// reads. The initiator has one core, array and proxy the other. As they are, the numbers are about those of the table that Linux's
// latency policy was proposed with: depth × size is what a path 35 ms long makes 50 MiB/s of.
//   compare.ts --rounds N (5) --seconds N (3) --depth N (28) --size KIB (64) --takes MS (4) --added MS (30)
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { BlockDevicePair, PathSelector, PathView } from '@blockbraid/core'
import { createEmitter, createHostAgent } from '@blockbraid/core'
import { latency } from '@blockbraid/policy-latency'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { median, ratio, verdict } from '../statistics.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    depth: { type: 'string', default: '28' },
    size: { type: 'string', default: '64' },
    takes: { type: 'string', default: '4' },
    added: { type: 'string', default: '30' },
  },
})
const rounds = Number(values.rounds)
const depth = Number(values.depth)
const io = Number(values.size) * 1024
const SIZE = 64 << 20
const [INITIATOR_CORE, TARGET_CORE] = ['0', '1']

/** Every I/O over one path: what the scene is made of. */
function only(isFar: boolean): PathSelector {
  let path: PathView | undefined
  return {
    name: 'only',
    update: (paths) => void (path = paths.find(({ address }) => address.includes(far) === isFar)),
    select: () => path,
  }
}

const policies: Readonly<Record<string, () => PathSelector>> = {
  'far alone': () => only(true),
  'near alone': () => only(false),
  'round-robin': () => roundRobin(),
  'queue-depth': () => queueDepth(),
  latency: () => latency(),
}

const transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter<never>(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** What is measured of one policy in one round. */
interface Sample {
  /** MiB/s. */
  readonly rate: number
  /** Share of the I/Os that went the far way. */
  readonly far: number
}

/** Starts a script of this folder on the target's core, and gives what it prints. */
async function start(stack: AsyncDisposableStack, file: string, ...words: readonly (string | number)[]) {
  const command = [process.execPath, `bench/latency/${file}`, ...words.map(String)]
  const child = spawn('taskset', ['-c', TARGET_CORE!, ...command], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  stack.defer(async () => {
    child.stdin.end()
    await exited
  })
  const [line] = await Promise.race([once(child.stdout, 'data'), exited])
  return JSON.parse(String(line)) as readonly string[]
}

/** Reads of a pair, `depth` at once. */
async function measure(pair: BlockDevicePair): Promise<Sample> {
  let bytes = 0
  let over = false
  const work = async (number: number): Promise<void> => {
    const buffer = new Uint8Array(io)
    for (let at = number; !over; at = (at + depth) % (SIZE / io)) {
      await pair.user.readInto(at * io, buffer)
      bytes += io
    }
  }
  const workers = Promise.all(Array.from({ length: depth }, (_, number) => work(number)))
  const ios = (isFar: boolean): number =>
    pair.paths.reduce((sum, path) => sum + (path.address.includes(far) === isFar ? path.ios : 0), 0)
  // What a policy has to learn it has learnt by then.
  await sleep(500)
  bytes = 0
  const before = [ios(false), ios(true)] as const
  const since = performance.now()
  await sleep(Number(values.seconds) * 1000)
  const rate = bytes / 2 ** 20 / ((performance.now() - since) / 1000)
  const [quick, slow] = [ios(false) - before[0], ios(true) - before[1]]
  over = true
  await workers
  return { rate, far: slow / (quick + slow) }
}

execFileSync('taskset', ['-a', '-c', '-p', INITIATOR_CORE!, String(process.pid)], { stdio: 'ignore' })
await using stack = new AsyncDisposableStack()
const [subsystem, near, behind] = (await start(stack, 'array.ts', SIZE, Number(values.takes) * 1000)) as [
  string,
  string,
  string,
]
const [far] = (await start(stack, 'proxy.ts', behind, values.added)) as [string]
const agent = createHostAgent({ targets: [nvmeof({ portals: [far, near], subsystem, toldPortals: false })] })
stack.defer(() => agent.close())
await agent.rescan()
const { id } = agent.devices().find(({ kind }) => kind === 'multipath')!
// That a path is slow is left to the policy.
const pair = await agent.pair({ name: 'volume', device: id, transport, multipath: { slow: false } })
while (pair.paths.some(({ state }) => state !== 'up')) await sleep(20)

const samples = new Map<string, Sample[]>(Object.keys(policies).map((name) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const [name, create] of Object.entries(policies)) {
    pair.setSelector(create)
    samples.get(name)!.push(await measure(pair))
  }
}
console.log(
  `\nreads of ${values.size} KiB, ${depth} at once, of ${values.takes} ms, two NVMe/TCP paths, ${values.added} ms added to one; medians of ${rounds}`,
)
const rates = (name: string): readonly number[] => samples.get(name)!.map(({ rate }) => rate)
for (const [name, all] of samples) {
  const share = median(all.map(({ far }) => far)) * 100
  console.log(
    `  ${name.padEnd(12)} ${median(rates(name)).toFixed(1).padStart(8)} MiB/s, ${share.toFixed(1).padStart(5)} % the far way`,
  )
}
const value = ratio(rates('latency'), rates('queue-depth'))
console.log(verdict({ of: 'latency beside queue-depth', value, atLeast: 1.5 }))
