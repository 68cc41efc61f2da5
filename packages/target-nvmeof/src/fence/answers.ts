import type { Clock } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import { abort } from '../nvme/admin.ts'
import { ask } from '../nvme/ask.ts'
import { decodeController } from '../nvme/controller-data.ts'
import type { Command } from '../queue/command.ts'
import { CommandState } from '../queue/command.ts'

/**
 * Has a live controller end what `owner` has sent, and waits for the answers, at most `limit` milliseconds: resolves to
 * whether no command that may change data is open any more. What can only read is not waited for.
 */
export async function answered(association: Association, owner: object, clock: Clock, limit: number): Promise<boolean> {
  if (openChanges(association, owner).length === 0) return true
  const over = new AbortController()
  void hint(association, owner, over.signal)
  const timer = clock.after(limit, () => over.abort())
  try {
    await association.drained(owner, { signal: over.signal })
    return true
  } catch {
    return false
  } finally {
    timer.cancel()
    over.abort()
  }
}

/** Commands of `owner` that may change data and have no answer. */
export function openChanges(association: Association, owner: object): Command[] {
  return association.commandsOf(owner).filter(({ changes }) => changes)
}

async function hint(association: Association, owner: object, signal: AbortSignal): Promise<void> {
  const { abortLimit } = decodeController(association.controller.identify)
  const sent = openChanges(association, owner).filter(({ state }) => state !== CommandState.Waiting)
  const names = sent.map(({ queueId, cid }) => ({ queueId, cid }))
  const abortNext = async (): Promise<void> => {
    for (let next = names.shift(); next !== undefined && !signal.aborted; next = names.shift()) {
      await association.run(ask(abort(next.queueId, next.cid)), { signal }).catch(() => {})
    }
  }
  await Promise.all(Array.from({ length: Math.min(abortLimit, names.length) }, abortNext))
}
