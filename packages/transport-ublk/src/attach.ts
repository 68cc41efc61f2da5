import type { BlockDevice, Clock, SignalOptions } from '@blockbraid/core'
import { BlockError, delay, Errno, throwIfAborted, writeThrough } from '@blockbraid/core'
import { UblkAttachment } from './attachment.ts'
import type { Context, Names } from './context.ts'
import { allFinished, protector } from './context.ts'
import {
  addDevice,
  blockName,
  canResize,
  endRecovery,
  getParameters,
  setParameters,
  startDevice,
  startRecovery,
  stopDevice,
  updateSize,
} from './driver.ts'
import { readEnds } from './ends.ts'
import { refusedWith } from './errors.ts'
import type { Found } from './find.ts'
import { findDevice, findDevices, isServed } from './find.ts'
import { guardEntry } from './guard-entry.ts'
import { identityOf, sameIdentity } from './identity.ts'
import { deleteNode } from './nodes.ts'
import { parametersBytes, parametersOf, transferOf } from './parameters.ts'
import { Attribute, Flag, SECTOR, State } from './protocol.ts'
import type { Server } from './server.ts'
import { serve } from './server.ts'
import type { DeviceInfo, Parameters } from './structs.ts'

/**
 * Milliseconds until a request that is not answered makes older drivers look whether their server is alive,
 * which they notice by themselves only where a tag is free. The standard, 30 s, is a long pause.
 */
const IO_TIMEOUT = 2000
/** Milliseconds until the driver must have noticed that the former server has died: its own limit, and some. */
const NOTICE_LIMIT = 40_000
/** Milliseconds between two looks. */
const NOTICE_STEP = 50

/** Serves `device` as a node: one that another process left behind, or a new one. */
export async function attachNode(
  context: Context,
  device: BlockDevice,
  names: Names,
  onEnded: () => void,
  { signal }: SignalOptions,
): Promise<UblkAttachment> {
  await allFinished(context.system, names, { signal })
  // Several processes may want the name at once, and neither sees the other's node yet.
  const letGo = await context.system.claim(names.name)
  if (typeof letGo === 'number') {
    throw new BlockError('IN_USE', `ublk: process ${letGo} is making or taking over the node of ${names.name}`)
  }
  try {
    const orphan = await findOrphan(context, names)
    const taken = orphan && (await takeOver(context, device, names, orphan, onEnded, signal))
    return taken ?? (await makeNode(context, device, names, onEnded, signal))
  } finally {
    await letGo()
  }
}

/** The node that a dead process left under these names. Rejects with IN_USE where a living one serves the name. */
async function findOrphan({ control, system }: Context, names: Names): Promise<Found | undefined> {
  const identity = identityOf(names)
  let orphan: Found | undefined
  for (const found of await findDevices(control, system)) {
    const { info, record } = found
    const same = sameIdentity(info, identity) && (record === undefined || sameNames(record, names))
    if (!same && record?.name !== names.name) continue
    if (isServed(found, system)) throw servedError(names, found)
    // Without an identity of the volume nobody can say that it holds the same data.
    if (same && names.volume !== '' && (record !== undefined || info.state !== State.Dead)) orphan = found
  }
  return orphan
}

function sameNames(one: Names, other: Names): boolean {
  return one.name === other.name && one.volume === other.volume
}

function servedError({ name }: Names, { info, record }: Found): BlockError {
  return new BlockError(
    'IN_USE',
    `ublk: ${name} is /dev/${blockName(info.id)} already, served by process ${record?.pid ?? info.pid}`,
  )
}

async function makeNode(
  context: Context,
  device: BlockDevice,
  names: Names,
  onEnded: () => void,
  signal: AbortSignal | undefined,
): Promise<UblkAttachment> {
  const { control, system, settings } = context
  const { limits } = device
  const maxIoBytes = transferOf(limits, settings.maxTransfer, system.pageSize)
  // Where it becomes writable the driver could not be told so: the block layer is, in its place, if that can be.
  const protect = protector(context)
  const asked = protect === undefined ? limits : { ...limits, readOnly: false }
  const parameters = parametersOf(asked, maxIoBytes, system.pageSize)
  const { queues, depth } = settings
  const flags = flagsOf(context)
  const scansAtStart = ((control.features ?? 0) & Flag.NoPartitionScan) === 0 && !settings.unprivileged
  const ends = scansAtStart ? await readEnds(device, { signal }) : undefined
  const info = await addDevice(control, { queues, depth, maxIoBytes, flags, ...identityOf(names) })
  const kname = blockName(info.id)
  const aborted = Promise.withResolvers<number>()
  let guard: { forget(): void } | undefined
  let server: Server | undefined
  try {
    await system.writeRecord(kname, names)
    guard = system.guard(guardEntry(info, system.pid), settings.takeOverTimeout)
    // It waits until the node of an unprivileged device is this user's; before that every command is refused.
    const made = asMade(device, parameters, context.clock)
    server = await serve(made, info, control.features === undefined, aborted.resolve, { ...context, ends, signal })
    await setParameters(control, info, parametersBytes(parameters))
    await start(context, info, server, aborted.promise, signal)
    if (limits.readOnly) await protect?.(kname, true)
    await ready(context, kname, info, signal)
  } catch (error) {
    server?.abandon()
    const stopped = await stopDevice(control, info).then(
      () => true,
      () => false,
    )
    server?.close(!stopped)
    await deleteNode(context, info).catch(() => {})
    guard?.forget()
    throw error
  }
  return new UblkAttachment(context, {
    info,
    names,
    server,
    parameters,
    tookOver: false,
    aborted: aborted.promise,
    guard,
    onEnded,
  })
}

function flagsOf({ control, settings }: Context): number {
  const wanted =
    Flag.IoctlEncoding |
    Flag.UpdateSize |
    (settings.unprivileged ? Flag.UnprivilegedDevice : Flag.UserRecovery | Flag.UserRecoveryReissue | Flag.Quiesce) |
    (settings.partitions ? 0 : Flag.NoPartitionScan)
  // A driver that cannot tell its features leaves out the flags that it does not know.
  return control.features === undefined ? wanted & ~Flag.IoctlEncoding : wanted & control.features
}

/** The driver waits until every queue has fetched, and reads the partition table through them. */
async function start(
  { control, system }: Context,
  info: DeviceInfo,
  server: Server,
  aborted: Promise<number>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hurry = (): void => server.abandon()
  signal?.addEventListener('abort', hurry)
  try {
    await Promise.race([startDevice(control, info, system.pid), rejected(aborted)])
    throwIfAborted(signal)
    server.started()
  } finally {
    signal?.removeEventListener('abort', hurry)
  }
}

async function rejected(aborted: Promise<number>): Promise<never> {
  const errno = await aborted
  throw new BlockError('IO_FAILED', `ublk: the driver refused the commands of a queue (errno ${errno})`, { errno })
}

async function ready(
  { system }: Context,
  kname: string,
  info: DeviceInfo,
  signal: AbortSignal | undefined,
): Promise<void> {
  // The kernel kills the server of an unprivileged device at this limit.
  if ((info.flags & Flag.UserRecovery) !== 0) await system.setIoTimeout(kname, IO_TIMEOUT)
  await system.settle(kname)
  throwIfAborted(signal)
}

/** Undefined where the node has gone meanwhile, or is of no use. */
async function takeOver(
  context: Context,
  device: BlockDevice,
  names: Names,
  orphan: Found,
  onEnded: () => void,
  signal: AbortSignal | undefined,
): Promise<UblkAttachment | undefined> {
  const { control, system, settings } = context
  const kname = blockName(orphan.info.id)
  const parameters = await getParameters(control, orphan.info).catch(noneIfGone)
  if (parameters === undefined) return undefined
  if (orphan.info.state !== State.Dead) refuseOther(`/dev/${kname}`, names, parameters, device)
  const info = await recoverable(context, names, orphan, signal)
  if (info === undefined) return undefined
  const aborted = Promise.withResolvers<number>()
  // Only one process can open the device: until then the record, and with it the guard, of the former one count.
  const made = asMade(device, parameters, context.clock)
  const server = await serve(made, info, control.features === undefined, aborted.resolve, { ...context, signal })
  try {
    await system.writeRecord(kname, names)
    const guard = system.guard(guardEntry(info, system.pid), settings.takeOverTimeout)
    await Promise.race([endRecovery(control, info, system.pid), rejected(aborted.promise)])
    if (canResize(info) && parameters.sectors * SECTOR !== device.limits.size) {
      await updateSize(control, info, device.limits.size)
    }
    await ready(context, kname, info, undefined)
    await protector(context)?.(kname, device.limits.readOnly)
    return new UblkAttachment(context, {
      info,
      names,
      server,
      parameters,
      tookOver: true,
      aborted: aborted.promise,
      guard,
      onEnded,
    })
  } catch (error) {
    server.hold()
    server.close(true)
    throw error
  }
}

/**
 * The device as a node of it is to see it. The driver takes no parameters of a node that has been started; where they
 * say nothing of a write cache, the kernel will never flush.
 */
function asMade(device: BlockDevice, { attributes }: Parameters, clock: Clock): BlockDevice {
  return (attributes & Attribute.VolatileCache) === 0 ? writeThrough(device, clock) : device
}

/** The kernel keeps what it was told of blocks when the node was made. */
function refuseOther(node: string, { name }: Names, { logicalBlockShift }: Parameters, { limits }: BlockDevice): void {
  const left = `ublk: ${node}, which was left behind as ${name},`
  const blockSize = 2 ** logicalBlockShift
  if (blockSize !== limits.blockSize) {
    const text = `${left} has blocks of ${blockSize} bytes, the volume of ${limits.blockSize}: remove it first`
    throw new BlockError('MISMATCH', text)
  }
}

function noneIfGone(error: unknown): undefined {
  if (!refusedWith(error, Errno.ENODEV)) throw error
}

/** Waits until the driver has noticed that the former server has gone, and starts the recovery. */
async function recoverable(
  context: Context,
  names: Names,
  orphan: Found,
  signal: AbortSignal | undefined,
): Promise<DeviceInfo | undefined> {
  const { control, system, clock } = context
  for (let waited = 0; ; waited += NOTICE_STEP) {
    throwIfAborted(signal)
    const found = await findDevice(control, system, orphan.info.id)
    if (found === undefined || !sameIdentity(found.info, orphan.info)) return undefined
    const { info } = found
    if (isServed(found, system)) throw servedError(names, found)
    if (info.state === State.Dead) {
      await deleteNode(context, info)
      return undefined
    }
    if (info.state !== State.Live && !isLeaving(found, system)) {
      try {
        await startRecovery(control, info)
        return info
      } catch (error) {
        // Older drivers say so where a process began to take it over, and died before it asked for requests.
        if (refusedWith(error, Errno.EINVAL)) return info
        if (!refusedWith(error, Errno.EBUSY)) throw error
      }
    }
    if (waited >= NOTICE_LIMIT) {
      throw new BlockError(
        'IN_USE',
        `ublk: /dev/${blockName(info.id)} was left behind by process ${info.pid}, but the driver still waits for its end`,
      )
    }
    await delay(clock, NOTICE_STEP, signal)
  }
}

/** Older drivers complain when a node is taken over while the process that left it is not yet gone. */
function isLeaving({ info, record }: Found, system: Context['system']): boolean {
  if ((info.flags & Flag.Quiesce) !== 0 || info.pid === system.pid) return false
  return record?.pid === info.pid ? system.isServed(record) : system.isAlive(info.pid)
}
