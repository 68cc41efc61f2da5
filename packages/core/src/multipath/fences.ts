import type { Fence, FenceProof, Path } from '../target.ts'
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

/** What a path that is not fenced yet waits for, for people: `waits for its fence: time, assumed`; empty: it does not tell. */
export function describeWait({ fenceBy, fenceFailure }: Pick<Path, 'fenceBy' | 'fenceFailure'>): string {
  if (fenceFailure !== undefined) return `waits for its fence, which has failed so far: ${fenceFailure.message}`
  return fenceBy === undefined ? '' : `waits for its fence: ${inWords(fenceBy)}`
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
