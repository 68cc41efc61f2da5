import { BlockError, messageOf } from '@blockbraid/core'
import type { HostNode } from '../nodes/host-nodes.ts'
import { withHostNodes } from '../nodes/host-nodes.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask, noPairIn } from './ask.ts'

/** Options of `blockbraid down`. */
export interface DownOptions extends RemoteOptions {
  force?: boolean
}

/** How long an agent may take to say what it has before `--force` goes on without it, milliseconds. */
const LIST_TIME = 5000
/** The same for ending a pair. */
const FORCE_TIME = 20_000
/** How long the removal of a node that is served may take before that is told, milliseconds. */
const PATIENCE = 2000

/**
 * `blockbraid down NAME`: ends a pair of the agent, or removes a kernel node of that name or path that no
 * agent has. With `--force` also where it is in use, and where its agent cannot do it.
 */
export async function down(terminal: Terminal, options: DownOptions, name: string): Promise<void> {
  const { pair, problem } = await pairOf(terminal, options, name)
  if (pair === undefined) return removeNodes(terminal, options, name, problem)
  try {
    await endPair(terminal, options, pair)
  } catch (error) {
    if (!options.force || !isPassable(error)) throw error
    await removeNodes(terminal, options, name, messageOf(error))
  }
}

/** The pair of that name or node, or why the agent has none. */
async function pairOf(
  terminal: Terminal,
  options: DownOptions,
  name: string,
): Promise<{ pair?: string; problem: string }> {
  try {
    const limit = options.force ? { timeout: LIST_TIME } : {}
    const { pairs } = await ask(terminal, options, { op: 'ls' }, limit)
    const pair = pairs.find((one) => one.name === name || one.node === name)
    if (pair !== undefined) return { pair: pair.name, problem: '' }
    return { problem: noPairIn(name, pairs) }
  } catch (error) {
    const absent = BlockError.is(error) && error.code === 'NOT_FOUND'
    if (!absent && !(options.force && isPassable(error))) throw error
    return { problem: messageOf(error) }
  }
}

/** Whether `--force` goes on without the agent: it is dead, hangs, or could not do it. */
function isPassable(error: unknown): boolean {
  return BlockError.is(error) && error.code !== 'ABORTED' && error.code !== 'DENIED'
}

async function endPair(terminal: Terminal, options: DownOptions, pair: string): Promise<void> {
  const request = { op: 'down', pair, ...(options.force ? { mode: 'force' } : {}) } as const
  const limit = options.force ? { timeout: FORCE_TIME } : {}
  const closed = await ask(terminal, options, request, limit)
  print(terminal, options.json, { pair, down: true, ...closed }, ({ stalled, loss }) => [
    stalled ? `${pair} is down; no path was usable: I/O that waited has failed` : `${pair} is down`,
    ...(loss === undefined ? [] : [loss]),
  ])
}

async function removeNodes(terminal: Terminal, options: DownOptions, name: string, problem: string): Promise<void> {
  const { nodeTransports, folder, interrupted } = terminal
  await withHostNodes(nodeTransports, folder, interrupted, async ({ found, errors }) => {
    const meant = found.filter(({ node }) => node.name === name || node.node === name)
    if (meant.length === 0) {
      const reasons = [problem, `no kernel node of this host is named ${name}`, ...errors]
      throw new BlockError('NOT_FOUND', reasons.join('; '))
    }
    const ends = await Promise.allSettled(
      meant.map((one) => tellOfWaiting(terminal, one, removeNode(one, options.force ? 'force' : 'clean'))),
    )
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [messageOf(end.reason)] : []))
    const removed = meant.flatMap(({ node }, index) => (ends[index]!.status === 'fulfilled' ? [node.node] : []))
    if (removed.length > 0)
      print(terminal, options.json, { pair: name, down: true, stalled: false, nodes: removed }, () =>
        removed.map((node) => `${node} is removed`),
      )
    if (failed.length === 0) return
    const advice = options.force ? '' : `; "blockbraid down --force ${name}" removes it all the same`
    throw new Error(`${failed.join('; ')}${advice}`)
  })
}

/** A driver may wait for what a process that hangs has not answered. */
async function tellOfWaiting(
  terminal: Terminal,
  { node: { node, pid } }: HostNode,
  work: Promise<void>,
): Promise<void> {
  if (pid === undefined) return work
  const advice = `"kill -9 ${pid}" ends that at once, and leaves the other nodes of that process to the next agent`
  const tell = (): void => terminal.err(`blockbraid: ${node} waits for process ${pid}, which serves it: ${advice}`)
  const timer = setTimeout(tell, PATIENCE)
  return work.finally(() => clearTimeout(timer))
}

async function removeNode({ node, transport }: HostNode, mode: 'clean' | 'force'): Promise<void> {
  if (transport.removeNode === undefined) throw new Error(`${node.node}: ${transport.name} cannot remove nodes`)
  await transport.removeNode(node.node, { mode })
}
