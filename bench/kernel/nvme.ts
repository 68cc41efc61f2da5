// Inside the machine: the kernel's NVMe/TCP initiator and ours on the same subsystem of nvmet, each with one queue, on a
// file in memory. Prints one line of JSON.   nvme.ts ROUNDS SECONDS
import type { BlockDevice } from '@blockbraid/core'
import { createHostAgent, userDevice } from '@blockbraid/core'
import type { NvmeofTarget } from '@blockbraid/target-nvmeof'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { ublk } from '@blockbraid/transport-ublk'
import { readDirectly } from './direct.ts'
import type { Contender } from './jobs.ts'
import { measure, onNode, withCpu } from './measure.ts'
import { connectKernel, NQN, PORTAL, serve, VOLUME } from './nvmet.ts'

const [rounds, seconds] = process.argv.slice(2).map(Number) as [number, number]
serve()
const theirs = await connectKernel()
const device = userDevice(await openPath(initiator('direct')))
const agent = createHostAgent({ targets: [initiator('node')] })
await agent.rescan()
const pair = await agent.pair({ name: 'bench', device: VOLUME, transport: ublk({}) })
const ours = pair.kernel.node
const contenders: Contender[] = [
  { name: "the kernel's initiator, fio", read: (job) => onNode(theirs, job, seconds) },
  { name: 'ours, its device itself', read: (job) => withCpu(() => readDirectly(device, job, seconds)) },
  { name: 'ours, fio on a ublk node', read: (job) => onNode(ours, job, seconds) },
]
console.log(JSON.stringify(await measure(contenders, rounds)))
// The machine ends with this process.
process.exit()

function initiator(name: string): NvmeofTarget {
  // An emulated machine is slow.
  const patient = { keepAliveTimeout: 30_000, connectTimeout: 60_000, commandTimeout: 30_000 }
  return nvmeof({ name, portals: [PORTAL], subsystem: NQN, toldPortals: false, ...patient })
}

async function openPath(target: NvmeofTarget): Promise<BlockDevice> {
  const [info] = await target.discover()
  if (info === undefined) throw new Error(`${NQN} has no namespace at ${PORTAL}`)
  return target.connect(info)
}
