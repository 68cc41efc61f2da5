import type { BlockDevicePair, DetachMode } from '@blockbraid/core'
import { isKernelNode } from '../nodes/kernel-node.ts'
import { isInUse } from './close-pair.ts'

/** How to end all pairs of an agent. */
export interface EndPairsOptions {
  readonly mode: DetachMode
  readonly signal: AbortSignal | undefined
  readonly report: (line: string) => void
  /** How long I/O on the node of a pair waits for another agent, for people. */
  waits(pair: BlockDevicePair): string
}

/** Ends pairs. A kernel node that is in use is left for the next agent, and that is told; rejects with the first error. */
export async function endPairs(pairs: readonly BlockDevicePair[], options: EndPairsOptions): Promise<void> {
  const ends = await Promise.allSettled(pairs.map((pair) => endPair(pair, options)))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

async function endPair(pair: BlockDevicePair, { mode, signal, report, waits }: EndPairsOptions): Promise<void> {
  const { node } = pair.kernel
  if (mode === 'leave') {
    if (isKernelNode(node)) report(`${pair.id}: ${node} stays; its I/O waits up to ${waits(pair)} for the next agent`)
    return pair.close({ mode, signal })
  }
  try {
    await pair.close({ mode, signal })
  } catch (error) {
    if (!isInUse(error)) throw error
    const then = `run "blockbraid up" again, or end it with "blockbraid down --force ${pair.id}"`
    report(`${pair.id}: ${node} stays: ${error.message}; its I/O waits up to ${waits(pair)} for an agent: ${then}`)
    await pair.close({ mode: 'leave', signal })
  }
}
