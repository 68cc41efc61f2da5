import type { CommandRule } from '../faults/types.ts'
import { admit } from '../scsi/commands.ts'
import type { Outcome } from '../scsi/outcome.ts'
import { GOOD } from '../scsi/outcome.ts'
import type { Task } from '../scsi/task.ts'
import { solicit } from './data-out.ts'
import type { Session } from './session.ts'

/** A command is there with its immediate data: it has its turn now, or after those that are numbered before it. */
export function arrived(session: Session, task: Task): void {
  const { window } = session
  for (let n = 0; n < task.views.length; n++) task.received += task.views[n]!.length
  if (task.immediate) return begin(session, task)
  if (!window.advance(task.cmdSn)) return window.keep(task.cmdSn, () => begin(session, task))
  begin(session, task)
  window.resume()
}

// The command's turn has come.
function begin(session: Session, task: Task): void {
  const { host, identity } = session
  task.begun = true
  host.record(identity, task)
  const rule = host.hooks.command?.(identity.portal, task)
  if (rule !== undefined && follow(session, task, rule)) return
  if (task.refused === GOOD && task.nexus !== null) task.refused = admit(task)
  goOn(session, task)
}

/** Looks again whether a command can run, or end: more of what it needs may be there. */
export function goOn(session: Session, task: Task): void {
  if (!task.begun || task.running || session.arriving === task) return
  if (task.refused !== GOOD) {
    // What the initiator sends by itself is taken to its end first, unless that shall not be.
    if (!task.unsolicited || session.host.earlyStatus) session.end(task, task.refused)
    return
  }
  if (task.unsolicited) return
  if (task.received < task.take) solicit(session, task)
  else session.start(task)
}

/** Does what a fault's rule says of a command; false where it goes on as without one. */
function follow(session: Session, task: Task, rule: CommandRule): boolean {
  if (rule.hangs === true) return true
  const outcome: Outcome = (rule.status << 24) | (rule.sense ?? 0)
  if (rule.early === undefined || rule.early === false) {
    if (outcome === 0) return false
    task.refused = outcome
    goOn(session, task)
    return true
  }
  if (rule.early === 'r2t' && !task.unsolicited && task.received < task.take) solicit(session, task)
  session.end(task, outcome)
  return true
}
