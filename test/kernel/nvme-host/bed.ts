// The kernel's own NVMe/TCP initiator, with native multipath, on a simulated array in this process.
import { writeFileSync } from 'node:fs'
import type { NvmeArray, NvmeArrayOfOptions } from '@blockbraid/array-nvmeof'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { until } from '../guest/wait.ts'
import type { HostController } from './nvme-cli.ts'
import { connect, controllersOf, disconnect, namespacesOf, openNvmeCli } from './nvme-cli.ts'

export const MIB = 1024 * 1024

/** Addresses of the array. */
export const PORTALS = ['127.0.0.1:4420', '127.0.0.2:4420'] as const

/** What a bed is made of. */
export interface BedOptions {
  /** One volume of 64 MiB on two ports, unless it says otherwise. */
  readonly storage?: MemoryOptions
  readonly array?: Partial<NvmeArrayOfOptions>
  /** Options of `nvme connect`; false: connected later, by the test. */
  readonly connect?: Readonly<Record<string, string | number | true>> | false
}

/** A host and an array, connected through both ports. */
export interface Bed extends AsyncDisposable {
  readonly storage: MemoryArray
  readonly array: NvmeArray
  /** Node of the first volume over all paths, such as `/dev/nvme0n1`. */
  node(nsid?: number): string
  /** ANA states of a namespace, by portal in the order of {@link PORTALS}. */
  access(nsid?: number): (string | undefined)[]
  /** The kernel's controller through a portal. */
  controller(portal: string): HostController
  /** Waits until the controllers through all portals are live. */
  allLive(): Promise<void>
}

let made = 0

/** Makes an array and connects; ready when the first namespace has a path through each portal. */
export async function openBed({ storage, array: wanted, connect: options = {} }: BedOptions = {}): Promise<Bed> {
  await openNvmeCli()
  const target = memory({ name: `host${++made}`, volumes: [{ size: '64MiB' }], ports: 2, ...storage })
  const name = `nqn.2026-11.io.blockbraid.test:array${made}`
  const ports = PORTALS.map((portal) => ({ host: portal.split(':')[0]!, port: Number(portal.split(':')[1]) }))
  const array = await nvmeArrayOf(target, { name, ports, ...wanted })
  const namespace = (nsid: number): ReturnType<typeof namespacesOf>[number] | undefined =>
    namespacesOf(name).find((each) => each.nsid === nsid)
  const bed: Bed = {
    storage: target.array,
    array,
    node: (nsid = 1) => `/dev/${namespace(nsid)?.name}`,
    access: (nsid = 1) => PORTALS.map((portal) => namespace(nsid)?.paths.get(portal)),
    controller(portal) {
      const found = controllersOf(name).find((each) => each.portal === portal)
      if (found === undefined) throw new Error(`the kernel has no controller through ${portal}`)
      return found
    },
    allLive: () =>
      until('all controllers are live', () => {
        const controllers = controllersOf(name)
        return controllers.length === PORTALS.length && controllers.every(({ state }) => state === 'live')
      }),
    async [Symbol.asyncDispose]() {
      array.faults.heal()
      for (const port of array.ports) port.blackhole(false)
      await disconnect(name)
      await array.close()
      await target.close()
    },
  }
  if (options === false) return bed
  try {
    for (const portal of PORTALS) await connect(name, portal, options)
    await until('the namespace has all paths', () => bed.access().every((state) => state !== undefined))
    return bed
  } catch (error) {
    await bed[Symbol.asyncDispose]()
    throw error
  }
}

/** Has the kernel spread I/O over the optimized paths of every subsystem. */
export function spread(bed: Bed): void {
  const { name } = bed.controller(PORTALS[0])
  for (const subsystem of subsystems(name)) writeFileSync(`${subsystem}/iopolicy`, 'round-robin')
}

function subsystems(controller: string): string[] {
  return [`/sys/class/nvme-subsystem/nvme-subsys${/\d+/.exec(controller)?.[0]}`]
}
