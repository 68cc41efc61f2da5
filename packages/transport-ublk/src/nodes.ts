import type { DetachOptions, KernelNode } from '@blockbraid/core'
import { abortable, BlockError, throwIfAborted } from '@blockbraid/core'
import type { Context } from './context.ts'
import type { DeviceRef } from './driver.ts'
import { blockName, deleteDevice, stopDevice } from './driver.ts'
import { blockError } from './errors.ts'
import { findDevice, findDevices, isServed } from './find.ts'

/** Removes a stopped node, its record first: another process may have its number the moment it is free. */
export async function deleteNode(
  { control, system, clock }: Omit<Context, 'settings'>,
  device: DeviceRef,
): Promise<void> {
  await system.removeRecord(blockName(device.id))
  await deleteDevice(control, device, clock)
}

/** Nodes that blockbraid made on this host, in any process. */
export async function listNodes({ control, system }: Context, signal: AbortSignal | undefined): Promise<KernelNode[]> {
  const ours = (await findDevices(control, system)).flatMap((found) =>
    found.record === undefined ? [] : [{ found, record: found.record }],
  )
  throwIfAborted(signal)
  // Together: who uses them is found by one look at all processes.
  return Promise.all(
    ours.map(async ({ found, record }) => {
      const kname = blockName(found.info.id)
      return {
        node: `/dev/${kname}`,
        name: record.name,
        volume: record.volume,
        ...(isServed(found, system) ? { served: true, pid: record.pid } : { served: false }),
        users: await system.users(kname),
      }
    }),
  )
}

/** Removes one of those. */
export async function removeNode(
  context: Context,
  node: string,
  { mode = 'clean', signal }: DetachOptions,
): Promise<void> {
  const { control, system } = context
  if (mode === 'leave')
    throw new TypeError('ublk: mode is "leave"; a node that is to be removed can only be clean or force')
  const id = Number(/^\/dev\/ublkb(\d+)$/.exec(node)?.[1] ?? -1)
  const found = id < 0 ? undefined : await findDevice(control, system, id)
  if (found?.record === undefined) throw new BlockError('NOT_FOUND', `ublk: ${node} is no node of blockbraid`)
  const { info, record } = found
  const kname = blockName(id)
  if (mode !== 'force') {
    if (isServed(found, system)) throw new BlockError('IN_USE', `${node} is served by process ${record.pid}`)
    const users = await system.users(kname)
    if (users.length > 0) throw new BlockError('IN_USE', `${node} is in use: ${users.join(', ')}`)
  }
  try {
    await abortable(stopDevice(control, info), signal)
    await deleteNode(context, info)
  } catch (error) {
    throw blockError(error, `${node} cannot be removed`)
  }
}
