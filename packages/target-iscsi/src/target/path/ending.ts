import { BlockError } from '@blockbraid/core'
import type { Lun } from '../../scsi/lun.ts'
import type { Session } from '../../session/session.ts'

/** Cuts the tasks of a path off; a session that still sends data of one of them ends with them. */
export function detachAll(session: Session, owner: object): void {
  if (session.detach(session.tasksOf(owner))) return
  session.drop(new BlockError('CONNECT_FAILED', 'a path closed while its data was still being sent'))
}

/** Has the target end what a path has sent, or ends the session where it does not say that it has. */
export async function abortAll(session: Session, owner: object, lun: Lun, mayReset: boolean): Promise<void> {
  if (session.error !== undefined) return
  if ((await session.abort(owner)) || (mayReset && (await session.abortByReset(owner, lun)))) {
    // Nothing depends on it.
    void session.abortReads(owner)
  } else {
    session.drop(new BlockError('TIMED_OUT', 'the target did not say that aborted commands have ended'))
  }
}
