import { BackOff } from '../back-off.ts'
import type { Host } from '../clock.ts'
import { delay } from '../clock.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { Ledger, LeftDebt } from '../ledger.ts'
import type { Owed } from '../multipath/guard.ts'
import type { Target } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'

/** What holds I/O of a volume. */
export interface Inherited {
  readonly owed: readonly Owed[]
  /** Begins to look for the proofs: once the paths are open, since an array may let their first commands wait for those. */
  begin(): void
}

/** What processes that have ended owe, as this one pays it. */
export interface Debts {
  /** For a volume that is about to be opened. Rejects where the ledger cannot be read. */
  of(volume: VolumeId, signal: AbortSignal): Promise<Inherited>
}

const ANYWHERE = [[0, Number.POSITIVE_INFINITY]] as const
const NOWHERE = [[0, 0]] as const

// Between two rounds of tries, milliseconds; with jitter.
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000

interface Proof {
  begin(): void
  readonly proven: Promise<void>
  reason(): string
  waive(): void
}

/**
 * Looks for the proofs that the ledger asks for, until `stop` fires. `targetsFor` lists the targets to ask for a path's,
 * the likeliest first.
 */
export function createDebts(
  ledger: Ledger | undefined,
  targetsFor: (path: string) => readonly Target[],
  host: Host,
  stop: AbortSignal,
): Debts {
  // Several devices of one volume wait for the same proof.
  const proofs = new Map<string, Proof>()
  const proofOf = (debt: LeftDebt): Proof => {
    const key = `${debt.owner}\n${debt.token}`
    const known = proofs.get(key)
    if (known !== undefined) return known
    const proof = prove(debt, () => targetsFor(debt.path), host, stop)
    proofs.set(key, proof)
    void proof.proven.then(() => proofs.delete(key))
    return proof
  }
  return {
    async of(volume, signal) {
      const left = (await ledger?.left(volume, { signal })) ?? []
      const all = left.map((debt) => ({ debt, proof: proofOf(debt) }))
      return {
        owed: all.flatMap(({ debt: { path, ranges = ANYWHERE }, proof: { proven, reason, waive } }) =>
          // Nothing may come any more, and something may lie in a cache all the same.
          (ranges.length === 0 ? NOWHERE : ranges).map(([offset, length]) => ({
            offset,
            length,
            path,
            proven,
            reason,
            waive,
          })),
        ),
        begin() {
          for (const { proof } of all) proof.begin()
        },
      }
    },
  }
}

function prove(debt: LeftDebt, targets: () => readonly Target[], host: Host, stop: AbortSignal): Proof {
  const waived = new AbortController()
  const over = AbortSignal.any([stop, waived.signal])
  let trouble = ''
  const look = async (): Promise<void> => {
    const backOff = new BackOff(FIRST_PAUSE, LONGEST_PAUSE, host.random)
    for (; !over.aborted; backOff.count()) {
      try {
        await oneOf(targets(), debt.token, over)
        return
      } catch (error) {
        trouble = messageOf(error)
      }
      await delay(host.clock, backOff.wait(), over)
    }
    // Stopped without a proof.
    if (!waived.signal.aborted) await new Promise<never>(() => {})
  }
  let begin = (): void => {}
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const looked =
    debt.ranges?.length === 0 ? Promise.resolve() : Promise.race([begun, waivedBy(waived.signal)]).then(look)
  const proven = looked.then(async () => {
    // Left on record, the next process proves it once more.
    await debt.settle().catch(() => {})
  })
  return {
    begin,
    proven,
    reason: () => {
      const what = `${debt.owner} may have left a change in flight`
      return trouble === '' ? what : `${what}; no proof yet: ${trouble}`
    },
    waive: () => waived.abort(),
  }
}

function waivedBy(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/**
 * One try with one target after another, until one has the proof: two at once could end each other's sessions. Rejects
 * with what the first of those said that the token belongs to.
 */
async function oneOf(targets: readonly Target[], token: string, signal: AbortSignal): Promise<void> {
  let told: unknown
  for (const target of targets) {
    if (target.fence === undefined) continue
    try {
      return await target.fence(token, { signal })
    } catch (error) {
      if (!BlockError.is(error) || error.code !== 'NOT_SUPPORTED') told ??= error
    }
  }
  throw told ?? new BlockError('NOT_SUPPORTED', 'no target of this agent leads to where it was sent')
}
