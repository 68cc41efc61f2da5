// Inside the machine: a subsystem of the kernel's NVMe target, and the kernel's own initiator of it.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const ROOT = '/sys/kernel/config/nvmet'
const PORT = '4420'
const ADDRESS = '127.0.0.1'
// What the kernel's initiator calls itself.
const LINUX = '0b10c4b1-a1d0-4000-8000-000000000001'

/** Where initiators find the subsystem. */
export const PORTAL = `${ADDRESS}:${PORT}`
/** Name of the subsystem. */
export const NQN = 'nqn.2026-11.io.blockbraid.bench:memory'
/** Identity of its namespace. */
export const VOLUME = 'uuid.0b10c4b1-a1d0-4000-8000-0000000000be'

/** One namespace, a file of 64 MiB in memory. */
export function serve(): void {
  const file = '/run/blockbraid-bench'
  writeFileSync(file, '')
  truncateSync(file, 64 * 1024 * 1024)
  const subsystem = make(join(ROOT, 'subsystems', NQN), { attr_allow_any_host: '1' })
  make(join(subsystem, 'namespaces/1'), { device_path: file, device_uuid: VOLUME.slice('uuid.'.length), enable: '1' })
  const where = { addr_trtype: 'tcp', addr_adrfam: 'ipv4', addr_traddr: ADDRESS, addr_trsvcid: PORT }
  symlinkSync(subsystem, join(make(join(ROOT, 'ports/1'), where), 'subsystems', NQN))
}

function make(folder: string, attributes: Readonly<Record<string, string>>): string {
  mkdirSync(folder, { recursive: true })
  for (const [name, value] of Object.entries(attributes)) writeFileSync(join(folder, name), value)
  return folder
}

/** Connects the kernel's initiator with one I/O queue, as nvme-cli does it; the node of the namespace. */
export async function connectKernel(): Promise<string> {
  const where = `transport=tcp,traddr=${ADDRESS},trsvcid=${PORT},nqn=${NQN}`
  const host = `hostnqn=nqn.2014-08.org.nvmexpress:uuid:${LINUX},hostid=${LINUX}`
  const file = openSync('/dev/nvme-fabrics', 'r+')
  writeSync(file, `${where},${host},nr_io_queues=1`)
  closeSync(file)
  for (;;) {
    const node = nodes().find((name) => existsSync(`/dev/${name}`))
    if (node !== undefined) return `/dev/${node}`
    await sleep(50)
  }
}

/** The machine has no other NVMe disks. */
function nodes(): string[] {
  return readdirSync('/sys/block').filter((name) => /^nvme\d+n\d+$/.test(name))
}
