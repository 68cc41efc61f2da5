import { BlockError } from '@blockbraid/core'
import type { Lun } from '../../scsi/lun.ts'
import type { Session } from '../../session/session.ts'

/** Cuts the tasks of a path off; a session that still sends data of one of them ends with them. */
export function detachAll(session: Session, owner: object): void {
  if (session.detach(session.tasksOf(owner))) return
  session.drop(new BlockError('CONNECT_FAILED', 'a path closed while its data was still being sent'))
}

/**
 * Has the target end what a path has sent, or ends the session where it does not say that it has. Resolves to what has
 * ended writes there; undefined where nothing had to, or nothing has.
 */
export async function abortAll(
  session: Session,
  owner: object,
  lun: Lun,
  mayReset: boolean,
): Promise<string | undefined> {
  if (session.error !== undefined) return undefined
  if (session.silence >= SILENT) {
    // It would not answer that either, and a login in its place ends what it was sent.
    session.drop(new BlockError('TIMED_OUT', `no answer to a ping for ${Math.round(session.silence)} ms`))
    return undefined
  }
  const changing = session.tasksOf(owner).some(({ changes }) => changes)
  const aborted = await session.abort(owner)
  if (!aborted && !(mayReset && (await session.abortByReset(owner, lun)))) {
    session.drop(new BlockError('TIMED_OUT', 'the target did not say that aborted commands have ended'))
    return undefined
  }
  // Nothing depends on it.
  void session.abortReads(owner)
  if (!changing) return undefined
  return aborted ? 'tasks aborted' : UNIT_RESET
}

// Where a ping had no answer for so long, a target is not asked to abort, milliseconds.
const SILENT = 500

/** By what a path is fenced where its logical unit was reset. */
export const UNIT_RESET = 'logical unit reset'
