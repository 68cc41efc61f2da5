// In a machine of their own (test/kernel): kernel nodes, blockbraid's ublk and nbd beside qemu-nbd with nbd-client, and
// beside the user-space device itself; or NVMe/TCP, the kernel's own initiator beside ours on the kernel's own target.
// The machine is emulated: only ratios mean anything. Medians.
//   compare.ts --what nodes|nvme (nodes) --rounds N (3) --seconds N (3) --kernel NAME (trixie)
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { Sample } from './jobs.ts'
import { jobs } from './jobs.ts'

const { values } = parseArgs({
  options: {
    what: { type: 'string', default: 'nodes' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    kernel: { type: 'string', default: 'trixie' },
  },
})
const guests: Readonly<Record<string, { readonly file: string; readonly modules: string }>> = {
  nodes: { file: 'bench/kernel/guest.ts', modules: 'nbd,ublk_drv' },
  nvme: { file: 'bench/kernel/nvme.ts', modules: 'nvmet_tcp,nvme_tcp,ublk_drv' },
}
const chosen = guests[values.what]
if (chosen === undefined)
  throw new TypeError(`--what is ${values.what}; it must be ${Object.keys(guests).join(' or ')}`)
const args = ['test/kernel/vm.ts', '--kernel', values.kernel, '--modules', chosen.modules, '--limit', '1500', '--']
const guest = [process.execPath, chosen.file, values.rounds, values.seconds]
const child = spawn(process.execPath, [...args, ...guest], { stdio: ['ignore', 'pipe', 'inherit'] })
let output = ''
for await (const chunk of child.stdout) output += chunk
const json = output.split('\n').find((line) => line.startsWith('{'))
if (json === undefined) throw new Error(`no results: ${output}`)
const results = JSON.parse(json) as Record<string, Record<string, Sample[]>>
for (const job of jobs) {
  const samples = Object.entries(results[job.name] ?? {})
  const [first] = samples
  if (first === undefined) continue
  console.log(`\n${job.name}, medians of ${values.rounds}`)
  console.log(`${''.padEnd(28)}   IOPS   to the first   machine's CPU per I/O`)
  const standard = median(first[1].map(({ iops }) => iops))
  for (const [name, found] of samples) {
    const iops = median(found.map((sample) => sample.iops))
    const cpu = median(found.map((sample) => sample.cpu))
    const cells = [iops.toFixed(0).padStart(7), (iops / standard).toFixed(2).padStart(12), `${cpu.toFixed(0)} µs`]
    console.log(`${name.padEnd(28)}${cells[0]}${cells[1]}   ${cells[2]!.padStart(20)}`)
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
