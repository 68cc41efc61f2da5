import type { Clock } from '@blockbraid/core'
import { testUnitReady } from '../../scsi/cdb.ts'
import { lunOf } from '../../scsi/lun.ts'
import { call } from '../../session/call.ts'
import type { Session } from '../../session/session.ts'
import type { Portal } from '../place/portal.ts'

/** What the proof needs: a login at a portal, each time under the same initiator session id, which nobody else has. */
export interface ProveOptions {
  readonly clock: Clock
  /** Milliseconds for one answer. */
  readonly timeout: number
  readonly signal: AbortSignal
  open(portal: Portal): Promise<Session>
}

/**
 * Whether two portals lead to one target portal group: a login there ends the session that another portal of the same
 * group has under the same initiator session id (RFC 7143 §6.3.5), and no session of another system. Tried both ways.
 * False where it is not so or cannot be found out.
 */
export async function leadToOneGroup(one: Portal, other: Portal, options: ProveOptions): Promise<boolean> {
  const open: Session[] = []
  const login = async (portal: Portal): Promise<Session> => {
    const session = await options.open(portal)
    open.push(session)
    return session
  }
  try {
    const first = await login(one)
    const second = await login(other)
    if (await lives(first, options)) return false
    await login(one)
    return !(await lives(second, options))
  } catch {
    return false
  } finally {
    await Promise.all(open.map((session) => session.logout()))
  }
}

async function lives(session: Session, { clock, timeout, signal }: ProveOptions): Promise<boolean> {
  try {
    await call(session, session, lunOf(0), testUnitReady(), { clock, timeout, signal, changes: false })
    return true
  } catch {
    // Without an answer and without an end nothing is proven.
    return session.error === undefined
  }
}
