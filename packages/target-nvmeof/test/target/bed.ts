import type { NvmeArray, NvmeArrayOptions, NvmeNamespaceOptions } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevice, DiscoveryNote, IoStatus, PathInfo, Target, VolumeId } from '@blockbraid/core'
import { Io, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import type { NvmeofOptions } from '../../src/index.ts'
import { nvmeof } from '../../src/index.ts'
import type { NvmePath } from '../../src/path/path.ts'
import { afterwards, SUBSYSTEM } from './rig.ts'

/** An array whose namespaces stand on devices of their own, whatever the controller. */
export interface Bed {
  readonly array: NvmeArray
  readonly devices: readonly BlockDevice[]
  readonly target: Target
  host(options?: Partial<NvmeofOptions>): Target
  info(port?: number, nsid?: number): Promise<PathInfo>
  open(port?: number, nsid?: number): Promise<NvmePath>
}

/** What `volumeAt(number)` is told as. */
export function volumeAt(number: number): VolumeId {
  return `uuid.00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

export interface BedOptions {
  /** Sizes of the namespaces. @defaultValue ['1MiB'] */
  sizes?: readonly string[]
  /** Says more of a namespace, by its number from 0. */
  namespace?: (number: number) => Partial<NvmeNamespaceOptions>
  array?: Partial<NvmeArrayOptions>
  initiator?: Partial<NvmeofOptions>
  /** What stands between a volume and the array. */
  wrap?: (device: BlockDevice, number: number) => BlockDevice
}

/** Without an access state of its own: the array's counts. */
const plain = (device: BlockDevice): BlockDevice => ({
  get limits() {
    return device.limits
  },
  submit: (io) => device.submit(io),
  close: (options) => device.close(options),
})

/** A device of its own, in memory. */
export async function device(size = '1MiB'): Promise<BlockDevice> {
  const target = memory({ volumes: [{ size: size as '1MiB', blockSize: 512 }], ports: 1 })
  afterwards(() => target.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  return plain(await target.connect((await target.discover())[0]!))
}

export async function bed(options: BedOptions = {}): Promise<Bed> {
  const { sizes = ['1MiB'], namespace = () => ({}), wrap = (one: BlockDevice) => one } = options
  const devices = await Promise.all(sizes.map(async (size, number) => wrap(await device(size), number)))
  const namespaces = devices.map((one, number) => ({
    nsid: number + 1,
    volume: volumeAt(number),
    device: one,
    ...namespace(number),
  }))
  const array = await createNvmeArray({ name: SUBSYSTEM, namespaces, ...options.array })
  afterwards(() => array.close())
  const host = (more: Partial<NvmeofOptions> = {}): Target => {
    const made = nvmeof({
      portals: array.ports.map(({ address }) => address),
      hostNqn: 'nqn.2026-11.io.blockbraid:host',
      hostId: '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34',
      commandTimeout: 2000,
      connectTimeout: 2000,
      pollInterval: 60_000,
      subsystem: SUBSYSTEM,
      ...options.initiator,
      ...more,
    })
    afterwards(() => made.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
    return made
  }
  const target = host()
  const info = async (port = 0, nsid = 1): Promise<PathInfo> => {
    const { address } = array.ports[port]!
    const found = (await target.discover()).find((one) => one.address === address && one.lun === String(nsid))
    if (found === undefined) throw new Error(`no path to namespace ${nsid} through port ${port}`)
    return found
  }
  return {
    array,
    devices,
    target,
    host,
    info,
    open: async (port, nsid) => (await target.connect(await info(port, nsid))) as NvmePath,
  }
}

/** What a look at a target has found, and what it says of the rest. */
export interface Look {
  /** `PORTAL NSID` of each path that was found or is known, sorted. */
  readonly seen: readonly string[]
  /** The same of those that are expected. */
  readonly unseen: readonly string[]
  readonly notes: readonly DiscoveryNote[]
}

/** Discovers, and hears the notes. */
export async function look(target: Target, again = false): Promise<Look> {
  const notes: DiscoveryNote[] = []
  const infos = await target.discover({ note: (note) => notes.push(note), again })
  return {
    seen: placesOf(infos.filter(({ unseen }) => unseen !== true)),
    unseen: placesOf(infos.filter(({ unseen }) => unseen === true)),
    notes,
  }
}

export function placesOf(infos: readonly PathInfo[]): string[] {
  return infos.map(({ address, lun }) => `${address} ${lun}`).sort()
}

/** Submits an Io; resolves to its status. */
export function run(
  to: BlockDevice,
  { op, flags = 0, offset = 0, length, buffers = NO_BUFFERS }: Partial<Io> & Pick<Io, 'op'>,
): Promise<IoStatus> {
  const io = new Io()
  io.op = op
  io.flags = flags
  io.offset = offset
  io.buffers = buffers
  io.length = length ?? buffers.reduce((sum, { length: bytes }) => sum + bytes, 0)
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    to.submit(io)
  })
}

/** Writes a block of this byte; resolves to the status. */
export function write(to: BlockDevice, byte: number, offset = 0): Promise<IoStatus> {
  return run(to, { op: IoOp.Write, offset, buffers: [Buffer.alloc(512, byte)] })
}

/** The first byte at an offset. */
export async function read(from: BlockDevice, offset = 0): Promise<number> {
  const into = Buffer.alloc(512)
  await run(from, { op: IoOp.Read, offset, buffers: [into] })
  return into[0]!
}
