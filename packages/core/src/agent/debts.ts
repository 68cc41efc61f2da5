import type { Host } from '../clock.ts'
import { delay } from '../clock.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { Ledger, LeftDebt } from '../ledger.ts'
import type { Owed } from '../multipath/guard.ts'
import type { Target } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'

/** What processes that have ended owe, as this one pays it. */
export interface Debts {
  /**
   * What holds I/O of a volume that is about to be opened; the proofs are looked for once `opened` has settled. Rejects
   * where the ledger cannot be read.
   */
  of(volume: VolumeId, opened: Promise<void>, signal: AbortSignal): Promise<readonly Owed[]>
}

// Between two rounds of tries, milliseconds; with jitter.
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000

interface Proof {
  readonly proven: Promise<void>
  reason(): string
  waive(): void
}

/** Looks for the proofs that the ledger asks for, among `targets`, until `stop` fires. */
export function createDebts(
  ledger: Ledger | undefined,
  targets: readonly Target[],
  host: Host,
  stop: AbortSignal,
): Debts {
  // Several devices of one volume wait for the same proof.
  const proofs = new Map<string, Proof>()
  const proofOf = (debt: LeftDebt, opened: Promise<void>): Proof => {
    const key = `${debt.owner}\n${debt.token}`
    const known = proofs.get(key)
    if (known !== undefined) return known
    const proof = prove(debt, targets, host, stop, opened)
    proofs.set(key, proof)
    void proof.proven.then(() => proofs.delete(key))
    return proof
  }
  return {
    async of(volume, opened, signal) {
      const left = (await ledger?.left(volume, { signal })) ?? []
      return left.flatMap((debt) => {
        const { proven, reason, waive } = proofOf(debt, opened)
        const ranges = debt.ranges ?? [[0, Number.POSITIVE_INFINITY] as const]
        return ranges.map(([offset, length]) => ({ offset, length, path: debt.path, proven, reason, waive }))
      })
    },
  }
}

function prove(
  debt: LeftDebt,
  targets: readonly Target[],
  host: Host,
  stop: AbortSignal,
  opened: Promise<void>,
): Proof {
  const waived = new AbortController()
  const over = AbortSignal.any([stop, waived.signal])
  let trouble = ''
  const look = async (): Promise<void> => {
    // What the storage has to work off for the proof, the questions of a path that is opened would wait for, too.
    await opened
    for (let pause = FIRST_PAUSE; !over.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        await oneOf(targets, debt.token, over)
        return
      } catch (error) {
        trouble = messageOf(error)
      }
      await delay(host.clock, pause * (0.5 + host.random() / 2), over)
    }
    // Stopped without a proof.
    if (!waived.signal.aborted) await new Promise<never>(() => {})
  }
  const proven = (debt.ranges?.length === 0 ? Promise.resolve() : look()).then(async () => {
    // Left on record, the next process proves it once more.
    await debt.settle().catch(() => {})
  })
  return {
    proven,
    reason: () => {
      const what = `${debt.owner} may have left a change in flight`
      return trouble === '' ? what : `${what}; no proof yet: ${trouble}`
    },
    waive: () => waived.abort(),
  }
}

/** One try with every target. Rejects with what those said that the token belongs to. */
async function oneOf(targets: readonly Target[], token: string, signal: AbortSignal): Promise<void> {
  try {
    await Promise.any(
      targets.map(async (target) => {
        if (target.fence === undefined) throw new BlockError('NOT_SUPPORTED', `${target.name} proves nothing`)
        await target.fence(token, { signal })
      }),
    )
  } catch (error) {
    const errors = error instanceof AggregateError ? error.errors : [error]
    const told = errors.find((each) => !BlockError.is(each) || each.code !== 'NOT_SUPPORTED')
    throw told ?? new BlockError('NOT_SUPPORTED', 'no target of this agent leads to where it was sent')
  }
}
