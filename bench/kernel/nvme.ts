// Inside the machine: the kernel's NVMe/TCP initiator and ours on the same subsystem of nvmet, each with one queue, on a
// file in memory. Prints one line of JSON.   nvme.ts ROUNDS SECONDS
import { closeSync, openSync, writeSync } from 'node:fs'
import { createHostAgent, userDevice } from '@blockbraid/core'
import { ublk } from '@blockbraid/transport-ublk'
import { until } from '../../test/kernel/guest/wait.ts'
import { LINUX, LINUX_ID, namespacesOf } from '../../test/kernel/nvme-host/nvme-cli.ts'
import { openBed, openPath, PORTALS } from '../../test/kernel/nvmet/bed.ts'
import { readDirectly } from './direct.ts'
import type { Contender } from './jobs.ts'
import { measure, onNode, withCpu } from './measure.ts'

const [rounds, seconds] = process.argv.slice(2).map(Number) as [number, number]
const bed = openBed({ namespaces: [{ kind: 'file' }] })
const { nqn } = bed.nvmet

const theirs = await connectKernel()
const device = userDevice(await openPath(bed.initiator()))
const agent = createHostAgent({ targets: [bed.initiator({ name: 'node', portals: [PORTALS[0]], toldPortals: false })] })
await agent.rescan()
const transport = ublk({})
const pair = await agent.pair({ name: 'bench', device: bed.volumes[0]!.id, transport })
const ours = pair.kernel.node
const contenders: Contender[] = [
  { name: "the kernel's initiator, fio", read: (job) => onNode(theirs, job, seconds) },
  { name: 'ours, its device itself', read: (job) => withCpu(() => readDirectly(device, job, seconds)) },
  { name: 'ours, fio on a ublk node', read: (job) => onNode(ours, job, seconds) },
]
console.log(JSON.stringify(await measure(contenders, rounds)))
// The machine ends with this process.
process.exit()

/** As nvme-cli does it. */
async function connectKernel(): Promise<string> {
  const [host, port] = PORTALS[0].split(':')
  const where = `transport=tcp,traddr=${host},trsvcid=${port},nqn=${nqn}`
  const file = openSync('/dev/nvme-fabrics', 'r+')
  writeSync(file, `${where},hostnqn=${LINUX},hostid=${LINUX_ID},nr_io_queues=1`)
  closeSync(file)
  await until('the kernel has the namespace', () => namespacesOf(nqn).length > 0)
  return `/dev/${namespacesOf(nqn)[0]!.name}`
}
