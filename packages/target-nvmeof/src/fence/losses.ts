import type { Fence, FenceProof } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import { climb } from './ladder.ts'
import type { LadderHost } from './ladder-host.ts'
import { publishFence } from './news.ts'

/** A fence, and when it was had, µs of the clock. */
interface Proven extends Fence {
  readonly at: number
}

/** Proofs for lost associations: one for all whose commands were open. */
export class Losses {
  readonly #host: LadderHost
  readonly #ended: AbortSignal
  readonly #proofs = new WeakMap<Association, Promise<Proven>>()

  /** `ended`: no proof is looked for any more. */
  constructor(host: LadderHost, ended: AbortSignal) {
    this.#host = host
    this.#ended = ended
  }

  /** An association has ended: its proof is looked for at once, where somebody needs it. */
  lost(association: Association): void {
    if (association.unfenced.size > 0) void this.#proofOf(association)
    else association.release()
  }

  /** Settles when nothing that was sent through it can change data any more; `since`: when the I/O ended, µs. */
  async proof(association: Association, since: number): Promise<FenceProof> {
    const { by, assumed, at } = await this.#proofOf(association)
    return { by, assumed, took: Math.max(0, at - since) / 1000 }
  }

  #proofOf(association: Association): Promise<Proven> {
    const known = this.#proofs.get(association)
    if (known !== undefined) return known
    const proof = this.#prove(association)
    this.#proofs.set(association, proof)
    return proof
  }

  async #prove(association: Association): Promise<Proven> {
    const fence = await climb(association, this.#host, this.#ended)
    // Given up, which proves nothing.
    if (fence === undefined) return new Promise(() => {})
    const at = this.#host.clock.now()
    const took = Math.max(0, at - association.endedAt) / 1000
    publishFence(association.place, association.controller.id, { ...fence, took })
    return { ...fence, at }
  }
}
