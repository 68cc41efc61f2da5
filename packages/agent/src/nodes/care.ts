import type { BlockDevicePair, Clock, KernelNode, Timer, Transport } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { NbdAttachment } from '@blockbraid/transport-nbd'
import { isKernelNode } from './kernel-node.ts'
import { protectProcess } from './protect.ts'
import { swapsOnNode } from './swap.ts'

/** How often nodes are looked at for swap, milliseconds. */
const SWAP_INTERVAL = 60_000

const REASON = 'swap there deadlocks: to swap out, the kernel waits for this agent, which may be waiting for memory'

/** What an agent with kernel nodes does for its host. */
export interface NodeCare {
  /**
   * Before an attach that may make a node, or take over the one that was `left`. Rejects with IN_USE where that
   * one is swap.
   */
  before(transport: Transport, options: Readonly<Record<string, unknown>>, left: KernelNode | undefined): Promise<void>
  /** After it. */
  attached(pair: BlockDevicePair): Promise<void>
  close(): void
}

/** Makes a {@link NodeCare}; `pairs` are the present ones. It does nothing until there are nodes. */
export function createNodeCare(
  pairs: () => readonly BlockDevicePair[],
  clock: Clock,
  report: (line: string) => void,
): NodeCare {
  let protecting: Promise<void> | undefined
  let timer: Timer | undefined
  let closed = false
  const told = new Set<string>()

  const protect = (): Promise<void> => {
    protecting ??= protectProcess(report)
    return protecting
  }
  const look = async (): Promise<void> => {
    for (const { id, kernel } of pairs()) {
      if (!isKernelNode(kernel.node)) continue
      for (const swap of await swapsOnNode(kernel.node)) {
        if (told.has(swap)) continue
        told.add(swap)
        report(`${id}: ${kernel.node} IS USED AS SWAP (${swap}): ${REASON}; run "swapoff ${swap}" now`)
      }
    }
  }
  const lookLater = (): void => {
    if (closed) return
    timer = clock.after(SWAP_INTERVAL, () => void look().then(lookLater))
  }
  return {
    async before(transport, options, left) {
      if (transport.nodes === undefined) return
      // With `auto` it is known only afterwards whether it became one.
      if (options['kernel'] !== 'auto') await protect()
      const [swap] = left === undefined ? [] : await swapsOnNode(left.node)
      if (left === undefined || swap === undefined) return
      const what = `${left.node} is not taken over: it is used as swap (${swap}), and ${REASON}`
      throw new BlockError('IN_USE', `${what}; run "swapoff ${swap}", then "blockbraid up" again`)
    },
    async attached({ id, kernel }) {
      const { fallback } = kernel as Partial<NbdAttachment>
      if (fallback !== undefined) report(`${id}: an export, not a kernel node: ${fallback.message}`)
      if (!isKernelNode(kernel.node)) return
      if (kernel.tookOver) report(`${id}: took over ${kernel.node}; I/O that had waited goes on`)
      await protect()
      if (timer === undefined) lookLater()
    },
    close() {
      closed = true
      timer?.cancel()
    },
  }
}
