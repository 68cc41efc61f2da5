import type { Clock } from '@blockbraid/core'
import { delay } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { Action, judge } from '../nvme/status.ts'
import { StatusError } from '../nvme/status-error.ts'

/** Whom to ask. */
export interface Asker {
  readonly clock: Clock
  readonly association: Association
  /** Whose commands they are. */
  readonly owner: object
  readonly signal?: AbortSignal | undefined
  /** Hears of each answer. */
  readonly onAnswer?: (() => void) | undefined
  /** Hears of the news that came with a status. */
  readonly onNews?: ((news: number) => void) | undefined
}

const MAX_TRIES = 12
const PAUSE = 100

/**
 * Runs a procedure that changes nothing until it has an answer that stands: what is not ready is asked again. Rejects with
 * a StatusError, or as `run` of an association does.
 */
export async function ask<Result>(asker: Asker, procedure: () => Procedure<Result>): Promise<Result> {
  const { association, owner, signal, clock } = asker
  for (let tries = 1; ; tries++) {
    try {
      const result = await association.run(procedure(), { owner, ...(signal && { signal }) })
      asker.onAnswer?.()
      return result
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      asker.onAnswer?.()
      const { action, news } = judge(error.nvme)
      if (news !== 0) asker.onNews?.(news)
      if (action === Action.None || tries === MAX_TRIES) throw error
      await delay(clock, PAUSE, signal)
    }
  }
}

/** As `ask`; undefined where the controller does not know what it is asked for. */
export async function askIfKnown<Result>(
  asker: Asker,
  procedure: () => Procedure<Result>,
): Promise<Result | undefined> {
  try {
    return await ask(asker, procedure)
  } catch (error) {
    if (error instanceof StatusError && isUnknown(error.nvme)) return undefined
    throw error
  }
}

/** Invalid opcode, invalid field, invalid log page: what is not there is not supported. */
function isUnknown(status: number): boolean {
  const code = status & 0x7ff
  return code === 0x001 || code === 0x002 || code === 0x109
}
