import type { Fence, FenceProof } from '../target.ts'
import { KindCounts } from './kind-counts.ts'

/** The fences that a path was given since it was added. */
export class FenceCounts {
  /** The last of them. */
  last: FenceProof | undefined
  readonly #kinds = new KindCounts()

  add(proof: FenceProof): void {
    this.last = proof
    this.#kinds.count(proof.by)
  }

  /** How many by {@link Fence.by}; undefined where there were none. */
  get counts(): Readonly<Record<string, number>> | undefined {
    return this.#kinds.counts
  }
}

/** What a path waits for, for people: `waits for its fence: time, assumed`. */
export function describeFence(fence: Fence): string {
  return `waits for its fence: ${inWords(fence)}`
}

/** How a path was fenced, for people: `fenced after 12.3 s: time, assumed`. */
export function describeProof(proof: FenceProof): string {
  const { took } = proof
  const time = took < 1000 ? `${Math.round(took)} ms` : `${(took / 1000).toFixed(1)} s`
  return `fenced after ${time}: ${inWords(proof)}`
}

function inWords({ by, assumed }: Fence): string {
  return assumed ? `${by}, assumed` : by
}
