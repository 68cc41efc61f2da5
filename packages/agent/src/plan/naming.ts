import type { NameRecord } from '../state/name-record.ts'
import type { Names } from '../state/names.ts'
import { belongs } from './owners.ts'
import { refusalOf } from './pairing.ts'
import type { Plan, PlannedPair, Present } from './plan.ts'

/** A plan whose names are kept by now. */
export interface NamedPlan extends Plan {
  /** Why names cannot be read or kept: what needs that is refused. */
  readonly fault: Error | undefined
  /** Forgets the name of a pair that was not made, where it was new. */
  undo(pair: PlannedPair): Promise<void>
}

/**
 * Plans with the names that are known, and keeps those that the plan gives. `plan` is asked again where that is not
 * possible; `optional`: no name has to be kept, so that the file is not looked at before one has.
 */
export async function planNamed(
  names: Names,
  optional: boolean,
  plan: (known: Present['names']) => Plan,
  forget: (record: NameRecord) => string,
): Promise<NamedPlan> {
  const nothing = async (): Promise<void> => {}
  try {
    const { pairs, refusals } = plan(optional ? [] : await names.list())
    const claims = pairs.flatMap(({ claim }) => claim ?? [])
    if (optional && claims.length === 0) return { pairs, refusals, fault: undefined, undo: nothing }
    const { refused, added } = await names.claim(claims)
    return {
      pairs: pairs.filter(({ claim }) => claim === undefined || !refused.has(claim)),
      // Another agent was quicker since the list was read.
      refusals: [
        ...refusals,
        ...pairs.flatMap((pair) => {
          const record = pair.claim && refused.get(pair.claim)
          return record ? [refusalOf(pair, belongs(record, pair.claim, forget(record)))] : []
        }),
      ],
      fault: undefined,
      async undo({ claim }) {
        if (claim !== undefined && added.includes(claim)) await names.drop([claim])
      },
    }
  } catch (error) {
    const fault = error as Error
    return { ...plan(fault), fault, undo: nothing }
  }
}
