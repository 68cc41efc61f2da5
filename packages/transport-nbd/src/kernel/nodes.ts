import type { DetachOptions, Host, KernelNode } from '@blockbraid/core'
import { BlockError, delay } from '@blockbraid/core'
import { removeNodeRecord } from '@blockbraid/linux'
import { identityOf } from './identity.ts'
import type { NbdKernel } from './nbd-kernel.ts'
import { resetNode } from './node-settings.ts'
import { recordOf, servingProcess } from './serving.ts'

const STEP = 20
const LIMIT = 2000

/** The nodes that blockbraid made on this host, in any process. */
export async function listNodes(kernel: NbdKernel): Promise<KernelNode[]> {
  const ours = (await kernel.nodes()).flatMap(({ index, backend }) => {
    const identity = identityOf(backend)
    return identity === undefined ? [] : [{ index, backend, identity }]
  })
  // Together: who uses them is found by one look at all processes.
  return Promise.all(
    ours.map(async ({ index, backend, identity }) => {
      const pid = await servingProcess(index, backend)
      const served = pid === undefined ? { served: false } : { served: true, pid }
      return { node: `/dev/nbd${index}`, ...identity, ...served, users: await kernel.users(index) }
    }),
  )
}

/** Removes a node that is not an attachment of this process; the one that serves it, if any, is told by the kernel. */
export async function dropNode(
  kernel: NbdKernel,
  host: Host,
  node: string,
  { mode = 'clean' }: DetachOptions,
): Promise<void> {
  const index = Number(/^\/dev\/nbd(\d+)$/.exec(node)?.[1] ?? Number.NaN)
  const backend = (await kernel.nodes()).find((one) => one.index === index)?.backend
  const identity = backend === undefined ? undefined : identityOf(backend)
  if (backend === undefined || identity === undefined)
    throw new BlockError('NOT_FOUND', `${node} is no nbd node of blockbraid`)
  if (mode !== 'force') {
    const pid = await servingProcess(index, backend)
    if (pid !== undefined) throw new BlockError('IN_USE', `process ${pid} serves ${identity.name} as ${node}`)
    const users = await kernel.users(index)
    if (users.length > 0) throw new BlockError('IN_USE', `${node} is in use: ${users.join(', ')}`)
  }
  const record = await recordOf(index, backend)
  await kernel.disconnect(index)
  for (let waited = 0; waited < LIMIT && (await kernel.read(index, 'backend')) === backend; waited += STEP) {
    await delay(host.clock, STEP)
  }
  if (record !== undefined) await removeNodeRecord(`nbd${index}`, record)
  await resetNode(kernel, index)
}
