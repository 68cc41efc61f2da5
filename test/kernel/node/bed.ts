// A host with the transport under test, BLOCKBRAID_NODE, on a simulated array in this process.
import { readdirSync, readFileSync } from 'node:fs'
import type { BlockDevicePair, HostAgent, MultipathOptions, PathSelector, Transport } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { within } from '../guest/wait.ts'

export const KIB = 1024
export const MIB = 1024 * 1024

/** The transport under test. */
export const kind: 'nbd' | 'ublk' = process.env['BLOCKBRAID_NODE'] === 'ublk' ? 'ublk' : 'nbd'

/** How a node of it is called, and which of the kernel's block devices are of it. */
export const nodeName: RegExp = kind === 'nbd' ? /^nbd\d+$/ : /^ublkb\d+$/

/** Config of the transport under test, in a config file. */
export const transportConfig: Readonly<Record<string, unknown>> =
  kind === 'nbd' ? { use: 'nbd', kernel: true } : { use: 'ublk' }

/** Makes a transport of the kind under test. */
export async function createTransport(options: Readonly<Record<string, unknown>> = {}): Promise<Transport> {
  if (kind === 'ublk') {
    const { ublk } = await import('@blockbraid/transport-ublk')
    return ublk(options)
  }
  const { nbd } = await import('@blockbraid/transport-nbd')
  return nbd({ kernel: true, ...options })
}

/** What a bed is made of. */
export interface BedOptions {
  /** Of the array: one volume of 64 MiB on four ports, unless it says otherwise. */
  readonly array?: MemoryOptions
  readonly multipath?: MultipathOptions
  readonly selector?: () => PathSelector
  /** Of the transport. */
  readonly transport?: Readonly<Record<string, unknown>>
}

/** A host with one pair: the array's first volume, and its kernel node. */
export interface Bed extends AsyncDisposable {
  readonly array: MemoryArray
  readonly agent: HostAgent
  readonly transport: Transport
  readonly pair: BlockDevicePair
  /** Such as `/dev/nbd0`. */
  readonly node: string
  /** Its name in the kernel. */
  readonly name: string
  /** Pairs another device of the agent. */
  pairOf(device: string, name: string): Promise<BlockDevicePair>
}

/** Makes an array, a host, and the pair. */
export async function openBed(options: BedOptions = {}): Promise<Bed> {
  const target = memory({ volumes: [{ size: '64MiB' }], ...options.array })
  const agent = createHostAgent({ targets: [target] })
  const transport = await createTransport(options.transport)
  const { selector, multipath } = options
  const pairOf = (device: string, name: string): Promise<BlockDevicePair> =>
    within(
      `a node for ${name}`,
      agent.pair({ name, device, transport, ...(selector && { selector }), ...(multipath && { multipath }) }),
    )
  const close = async (): Promise<void> => {
    // After a test that has failed, whatever still uses a node gets errors.
    await within('the agent is closed', agent.close({ mode: 'force' }))
    await within('the transport is closed', transport.close({ mode: 'force' }))
  }
  try {
    await agent.rescan()
    const pair = await pairOf(target.array.volumes[0]!.id, 'disk')
    const { node } = pair.kernel
    const name = node.replace('/dev/', '')
    return { array: target.array, agent, transport, pair, node, name, pairOf, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Nodes of the kind under test that somebody serves or has left behind. */
export function nodesInUse(): string[] {
  return readdirSync('/sys/block').filter((name) => nodeName.test(name) && sectors(name) > 0)
}

function sectors(name: string): number {
  return Number(readFileSync(`/sys/block/${name}/size`, 'utf8'))
}

/** A file of a block device in sysfs, such as `queue/logical_block_size`. */
export function sysfs(name: string, file: string): string {
  return readFileSync(`/sys/block/${name}/${file}`, 'utf8').trim()
}

/** Version of the kernel: 6.12 is 612. */
export function kernelVersion(): number {
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  return major * 100 + minor
}
