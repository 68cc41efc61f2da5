import { get32, put32 } from '@blockbraid/wire'
import { FINAL, PduOpcode } from '../pdu/opcodes.ts'
import { readLun } from '../scsi/lun.ts'
import { Attention } from '../scsi/outcome.ts'
import type { Task, TaskSession } from '../scsi/task.ts'
import type { Unit } from '../scsi/unit.ts'
import { beginPdu } from './replies.ts'
import type { Session } from './session.ts'

/** Functions (RFC 7143 §11.5.1). */
const Action = {
  abortTask: 1,
  abortTaskSet: 2,
  clearTaskSet: 4,
  lunReset: 5,
  targetWarmReset: 6,
  targetColdReset: 7,
  taskReassign: 8,
} as const

/** Responses (RFC 7143 §11.6.1). */
const Response = {
  complete: 0,
  noTask: 1,
  noUnit: 2,
  noReassign: 4,
  notSupported: 5,
} as const

/** Serves a task management request; the response goes out when the tasks have ended. */
export function manageTasks(session: Session, bhs: Buffer): void {
  const action = bhs[1]! & 0x7f
  const forced = session.host.taskManagementVerdict(session.identity.portal, action)
  if (forced >= 0) return respond(session, bhs, forced)
  const tasks = affected(session, bhs, action)
  if (typeof tasks === 'number') return respond(session, bhs, tasks)
  session.host.countAborts(tasks.length)
  const ended = Promise.all(tasks.map((task) => task.session!.abort(task)))
  void ended.then(() => {
    if (session.live) respond(session, bhs, Response.complete)
  })
}

function respond(session: Session, bhs: Buffer, response: number): void {
  const at = beginPdu(session, PduOpcode.taskManagementResponse, FINAL, get32(bhs, 16), true)
  session.out.bytes[at + 2] = response
  put32(session.out.bytes, at + 20, 0)
  session.out.end(at)
}

/** The tasks that a function ends, or the response that it gets instead. */
function affected(session: Session, bhs: Buffer, action: number): Task[] | number {
  if (action === Action.taskReassign) return Response.noReassign
  if (action === Action.abortTask) {
    const task = session.tasks.get(get32(bhs, 20))
    return task === undefined ? Response.noTask : [task]
  }
  if (action === Action.targetWarmReset || action === Action.targetColdReset) {
    for (const one of session.host.sessions()) for (const nexus of one.nexuses.values()) nexus.raise(Attention.reset)
    return tasksOf(session.host.sessions(), () => true)
  }
  const unit = session.nexuses.get(readLun(get32(bhs, 8), get32(bhs, 12)))?.mapping.unit
  if (unit === undefined) return Response.noUnit
  if (action === Action.abortTaskSet) return tasksOf([session], (other) => other === unit)
  if (action === Action.lunReset) {
    for (const nexus of unit.nexuses) nexus.raise(Attention.reset)
    return tasksOf(session.host.sessions(), (other) => other === unit)
  }
  if (action === Action.clearTaskSet) return tasksOf(session.host.sessions(), (other) => other === unit)
  return Response.notSupported
}

function tasksOf(sessions: Iterable<TaskSession>, which: (unit: Unit | undefined) => boolean): Task[] {
  const found: Task[] = []
  for (const session of sessions) {
    for (const task of session.tasks.values()) if (which(task.nexus?.mapping.unit)) found.push(task)
  }
  return found
}
