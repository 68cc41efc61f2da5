import { BlockError, messageOf } from '@blockbraid/core'
import { isKernelNode } from '../nodes/kernel-node.ts'
import { endAll } from './end.ts'
import type { Running } from './running.ts'

/** How long I/O in flight may take to end when another agent wants the nodes, milliseconds. It is sent again there. */
const DRAIN_TIME = 1000

/** A pair of an agent that handed over. */
export interface HandedOver {
  /** Name of the pair. */
  readonly name: string
  /** What applications opened. */
  readonly node: string
}

/** What an agent that handed over has left. */
export interface HandOverResult {
  /** Process that ends now. */
  readonly pid: number
  /** Kernel nodes that stay, by the name of their pair. */
  readonly nodes: readonly HandedOver[]
  /** Exports that ended. */
  readonly exports: readonly HandedOver[]
}

/** Leaves every kernel node for another agent. Rejects with NOT_SUPPORTED where the agent is part of another program. */
export async function handOver(running: Running): Promise<HandOverResult> {
  const { agent, host, log, onHandedOver } = running
  if (onHandedOver === undefined)
    throw new BlockError('NOT_SUPPORTED', 'this agent is part of another program: end that program')
  const here = agent.pairs.filter((pair) => pair.state !== 'lost')
  const all = here.map(({ id, kernel }) => ({ name: id, node: kernel.node }))
  const hurry = new AbortController()
  const timer = host.clock.after(DRAIN_TIME, () => hurry.abort())
  // The control socket stays until all has ended: whoever waits for the answer must not find another agent there.
  await endAll(running, { mode: 'leave', signal: hurry.signal }).catch((error: unknown) => log.report(messageOf(error)))
  timer.cancel()
  // After the answer was written.
  setImmediate(onHandedOver)
  return {
    pid: process.pid,
    nodes: all.filter(({ node }) => isKernelNode(node)),
    exports: all.filter(({ node }) => !isKernelNode(node)),
  }
}
