import type { BlockDevice, Host, SignalOptions } from '@blockbraid/core'
import { BlockError, delay, throwIfAborted, writeThrough } from '@blockbraid/core'
import type { DiskWords, Guarded } from '@blockbraid/linux'
import { claimNode, removeNodeRecord, writeNodeRecord } from '@blockbraid/linux'
import type { ServedNode } from './attachment.ts'
import { OFFER_INTERVAL } from './attachment.ts'
import { transmissionFlags } from './flags.ts'
import type { Identity } from './identity.ts'
import { backendOf } from './identity.ts'
import type { LinkContext } from './link.ts'
import type { NbdKernel } from './nbd-kernel.ts'
import { NodeLinks } from './node-links.ts'
import { protectNode, resetNode, tuneNode } from './node-settings.ts'
import { offerLink } from './offer.ts'
import type { KernelSettings } from './options.ts'
import { beginServing, endServing } from './served.ts'
import { servingProcess } from './serving.ts'

/** What every node of a transport is made with. */
export interface NodeMaker {
  readonly kernel: NbdKernel
  readonly host: Host
  readonly settings: KernelSettings
  readonly context: LinkContext
}

/** What a node is for, and what it is said to be. */
export type Disk = Identity & DiskWords

/** A process that ends may still be there for a moment, ms. */
const LAST_BREATH = 3000
/** What the kernel may take to notice that a process has died, ms. */
const NOTICE = 15_000

/** Makes the node of a device, or takes over the one that another process left. */
export async function serveNode(
  maker: NodeMaker,
  device: BlockDevice,
  identity: Disk,
  options: SignalOptions = {},
): Promise<ServedNode> {
  const backend = backendOf(identity)
  // Several processes may want it at once: one makes it, or takes all of its connections over.
  const letGo = await claimNode(`nbd ${backend}`)
  if (typeof letGo === 'number') {
    throw new BlockError('IN_USE', `process ${letGo} is making or taking over the node of ${identity.name}`)
  }
  try {
    return await findOrMake(maker, device, identity, backend, options.signal)
  } finally {
    await letGo()
  }
}

async function findOrMake(
  maker: NodeMaker,
  device: BlockDevice,
  identity: Disk,
  backend: string,
  signal: AbortSignal | undefined,
): Promise<ServedNode> {
  for (const node of await maker.kernel.nodes()) {
    if (node.backend !== backend) continue
    const taken = await takeOver(maker, node.index, backend, device, identity, signal)
    if (taken !== undefined) return settle(maker, node.index, backend, taken, device, true, signal)
  }
  const { index, links } = await connect(maker, backend, device, identity)
  let guard: Guarded | undefined
  try {
    guard = maker.kernel.guard(index, backend, maker.settings.takeOverTimeout)
    await writeNodeRecord(`nbd${index}`, identity)
    return await settle(maker, index, backend, { links, guard }, device, false, signal)
  } catch (error) {
    links.destroy()
    await maker.kernel.disconnect(index).catch(() => {})
    await links.drained({ signal })
    guard?.forget()
    endServing(index, backend)
    await removeNodeRecord(`nbd${index}`, { ...identity, pid: process.pid })
    await resetNode(maker.kernel, index)
    throw error
  }
}

async function connect(
  { kernel, host, settings, context }: NodeMaker,
  backend: string,
  whole: BlockDevice,
  { name }: Identity,
): Promise<{ index: number; links: NodeLinks }> {
  const { limits } = whole
  const device = asMade(whole, limits.writeCache, host)
  const links = new NodeLinks({ kernel, context, device, name }, settings.connections > 1)
  const offered = Array.from({ length: settings.connections }, () => links.add())
  try {
    const index = await kernel.connect({
      size: limits.size,
      blockSize: limits.blockSize,
      // Where it becomes writable the driver could not be told so: the block layer is, in its place.
      flags: transmissionFlags({ ...limits, readOnly: false }, settings),
      sockets: offered.map(({ socket }) => socket),
      backend,
      requestTimeout: settings.requestTimeout,
      takeOverTimeout: settings.takeOverTimeout,
    })
    beginServing(index, backend)
    for (const { link } of offered) links.confirm(link)
    return { index, links }
  } catch (error) {
    links.destroy()
    if (!BlockError.is(error) || error.code !== 'IO_FAILED' || limits.blockSize <= 4096) throw error
    const message = `this kernel refuses nbd nodes with blocks of ${limits.blockSize} bytes: before Linux 6.15 they have 4096 at most`
    throw new BlockError('NOT_SUPPORTED', message, { cause: error })
  } finally {
    for (const { socket } of offered) kernel.closeFd(socket)
  }
}

/** The connections of a node, and its guard. */
type Taken = Pick<ServedNode, 'links' | 'guard'>

/**
 * The device as a node of it is to see it. The driver takes over what is said of a write cache when the node is made,
 * and with no later message; where that was none, the kernel will never flush.
 */
function asMade(device: BlockDevice, cached: boolean, { clock }: Host): BlockDevice {
  return cached ? device : writeThrough(device, clock)
}

/** The kernel keeps what it was told of blocks when the node was made. */
async function refuseOther(kernel: NbdKernel, index: number, { limits }: BlockDevice): Promise<void> {
  const blockSize = Number(await kernel.read(index, 'queue/logical_block_size'))
  if (blockSize !== limits.blockSize) {
    const message = `/dev/nbd${index} has blocks of ${blockSize} bytes, the device of ${limits.blockSize}`
    throw new BlockError('MISMATCH', `${message}: it cannot take over, remove the node first`)
  }
}

/** Connections to an orphaned node in place of its dead ones; undefined where it is not connected any more. */
async function takeOver(
  { kernel, host, settings, context }: NodeMaker,
  index: number,
  backend: string,
  whole: BlockDevice,
  identity: Disk,
  signal: AbortSignal | undefined,
): Promise<Taken | undefined> {
  await refuseOther(kernel, index, whole)
  const device = asMade(whole, (await kernel.read(index, 'queue/write_cache')) === 'write back', host)
  const wanted = await kernel.connections(index)
  const links = new NodeLinks({ kernel, context, device, name: identity.name }, wanted > 1)
  let taken = 0
  let guard: Guarded | undefined
  const begin = host.clock.now()
  const late = (limit: number): boolean => host.clock.now() - begin > limit * 1000
  try {
    for (;;) {
      const pid = taken === 0 ? await servingProcess(index, backend) : undefined
      if (pid !== undefined) {
        if (pid === process.pid || late(LAST_BREATH)) {
          throw new BlockError('IN_USE', `process ${pid} serves ${identity.name} as /dev/nbd${index}`)
        }
      } else {
        const offer = await offerLink(kernel, links, index, backend, { takeOverTimeout: settings.takeOverTimeout })
        if (offer === 'gone') {
          if (taken === 0) return undefined
          throw new BlockError('CLOSED', `another program disconnected /dev/nbd${index}`)
        }
        if (offer === 'taken') {
          beginServing(index, backend)
          taken++
          if (guard === undefined) {
            // The guard of the process before does nothing once the record is ours.
            guard = kernel.guard(index, backend, settings.takeOverTimeout)
            await writeNodeRecord(`nbd${index}`, identity)
          }
          if (taken === wanted) return { links, guard }
          continue
        }
      }
      if (late(NOTICE)) {
        if (guard !== undefined) return { links, guard }
        throw new BlockError(
          'IN_USE',
          `the kernel takes no new connection for /dev/nbd${index}: the old ones are alive`,
        )
      }
      await delay(host.clock, OFFER_INTERVAL, signal)
      throwIfAborted(signal)
    }
  } catch (error) {
    // Those that it has taken leave it an orphan again.
    if (taken > 0) endServing(index, backend)
    links.destroy()
    throw error
  }
}

/** What remains once the kernel has our connections. */
async function settle(
  { kernel, settings }: NodeMaker,
  index: number,
  backend: string,
  { links, guard }: Taken,
  device: BlockDevice,
  tookOver: boolean,
  signal: AbortSignal | undefined,
): Promise<ServedNode> {
  const { limits } = device
  try {
    if (tookOver && Number(await kernel.read(index, 'size')) * 512 !== limits.size) {
      await kernel.reconfigure(index, backend, { size: limits.size })
    }
    await tuneNode(kernel, index, settings, limits)
    await protectNode(kernel, index, settings.readOnly || limits.readOnly)
    throwIfAborted(signal)
    await kernel.settle(index)
    // One that was left has its partitions, and the kernel refuses to look where one of them is in use.
    if (settings.partitions && !tookOver) await kernel.rescan(index)
    throwIfAborted(signal)
    const { blockSize } = limits
    const { takeOverTimeout, readOnly } = settings
    return { index, backend, links, guard, tookOver, blockSize, takeOverTimeout, readOnly }
  } catch (error) {
    if (tookOver) {
      links.destroy()
      endServing(index, backend)
    }
    throw error
  }
}
