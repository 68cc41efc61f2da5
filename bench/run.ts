// `npm run bench`: blockbraid beside qemu-nbd and nbdkit with the same jobs, in the same run, each server pinned to one
// core and the client to the other, once with fio and once with a client that is not the limit; then what the layers
// cost by themselves, and what is idle; then the iSCSI initiator beside libiscsi and qemu-nbd (bench/iscsi/compare.ts,
// where tgt and libiscsi are installed), and the NVMe/TCP initiator beside it (bench/nvme/compare.ts). What takes a machine
// of its own only where it is named: kernel nodes (`kernel`), and NVMe/TCP beside the kernel's initiator on the kernel's
// target (`kernel-nvme`; bench/kernel/compare.ts).
// `latency`, only where it is named: policies over two NVMe/TCP paths of which one is far (bench/latency.ts).
//   --rounds N (5)   --seconds N (3)   names of jobs, `micro`, `select`, `idle`, `iscsi`, `nvme`, `kernel` or `kernel-nvme`, to run only these
//   --beside FOLDER  another checkout, built: all but those of a machine also with its packages, in the same rounds
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { checkoutOf } from './checkout.ts'
import { compareServers } from './compare.ts'
import { measureIdle } from './idle.ts'
import { jobs } from './jobs.ts'
import { measureLayers } from './layers.ts'
import { measureSelects } from './selects.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    beside: { type: 'string' },
  },
})
const beside = values.beside === undefined ? undefined : checkoutOf(values.beside)
const effort = { rounds: Number(values.rounds), seconds: Number(values.seconds), beside }
const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name)
const chosen = jobs.filter(({ name }) => wanted(name))
const versions = ['fio --version', 'qemu-nbd --version', 'nbdkit --version', 'node --version'].map(
  (line) => execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\n')[0],
)
console.log(`${versions.join('\n')}\n${cpus().length} CPUs ${cpus()[0]?.model}`)
if (beside !== undefined) console.log(`before: ${beside}`)
if (chosen.length > 0) await compareServers(chosen, effort)
if (wanted('micro')) await measureLayers(effort)
if (wanted('select')) measureSelects()
if (wanted('idle')) await measureIdle(beside)
if (wanted('iscsi')) withEffort('bench/iscsi/compare.ts', beside === undefined ? [] : ['--beside', beside])
if (positionals.includes('latency')) withEffort('bench/latency.ts', [])
if (wanted('nvme')) withEffort('bench/nvme/compare.ts', beside === undefined ? [] : ['--beside', beside])
if (positionals.includes('kernel')) withEffort('bench/kernel/compare.ts', [])
if (positionals.includes('kernel-nvme')) withEffort('bench/kernel/compare.ts', ['--what', 'nvme'])

// What pins by itself what it starts, or does so in another machine.
function withEffort(file: string, more: readonly string[]): void {
  const length = ['--rounds', values.rounds, '--seconds', values.seconds]
  execFileSync(process.execPath, [file, ...length, ...more], { stdio: 'inherit' })
}
