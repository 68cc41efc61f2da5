import { TaskFunction } from '../pdu/encode.ts'
import { NO_TAG } from '../pdu/opcode.ts'
import type { SendRequest, TaskReference } from './ask-session.ts'
import { askTaskFunction } from './ask-session.ts'
import type { Task } from './task.ts'
import { TaskState } from './task.ts'

/** What task management needs of a session. */
export interface Managed {
  /** Every task, whatever its state. */
  readonly tasks: readonly Task[]
  readonly request: SendRequest
  /** The orphan that has this tag is known to have ended; nothing where the task serves another command by now. */
  forget(task: Task, tag: number): void
}

type Orphan = TaskReference & { readonly task: Task }

const MANY_TASKS = 4

/**
 * Aborts orphans of one logical unit (RFC 7143 §11.5). Resolves to true when the target has said of each that it has
 * ended; false where it did not, or the session is lost.
 */
export async function abortOrphans(session: Managed, which: (task: Task) => boolean): Promise<boolean> {
  const { tasks, request } = session
  const orphans = orphansOf(tasks, which)
  const first = orphans[0]
  if (first === undefined) return true
  if (orphans.length > MANY_TASKS && onlyOrphans(tasks, first)) {
    const set = orphansOf(tasks, (task) => sameLun(task, first))
    if (await didFunction(request, TaskFunction.AbortTaskSet, first))
      for (const { task, tag } of set) session.forget(task, tag)
  }
  for (const reference of orphans) {
    const { task, tag } = reference
    if (task.tag !== tag || task.state !== TaskState.Orphan) continue
    if (!(await didFunction(request, TaskFunction.AbortTask, reference))) return false
    session.forget(task, tag)
  }
  return true
}

/** Asks for a reset of a logical unit (RFC 7143 §11.5.1); resolves to whether the target did it. */
export function resetLun(request: SendRequest, lun: { readonly high: number; readonly low: number }): Promise<boolean> {
  const reference = { lunHigh: lun.high, lunLow: lun.low, tag: NO_TAG, cmdSn: 0 }
  return didFunction(request, TaskFunction.LunReset, reference)
}

/** Orphans as they are now: a task may have ended and serve another command when the answer of the target comes. */
function orphansOf(tasks: readonly Task[], which: (task: Task) => boolean): Orphan[] {
  const orphans = tasks.filter((task) => task.state === TaskState.Orphan && which(task))
  return orphans.map((task) => {
    const { lunHigh, lunLow, tag, cmdSn } = task
    return { task, lunHigh, lunLow, tag, cmdSn }
  })
}

/** ABORT TASK SET ends every command of this session there, and nothing is said to those that somebody waits for. */
function onlyOrphans(tasks: readonly Task[], lun: TaskReference): boolean {
  return !tasks.some((task) => task.state === TaskState.Sent && sameLun(task, lun))
}

function sameLun(task: Task, lun: TaskReference): boolean {
  return task.lunHigh === lun.lunHigh && task.lunLow === lun.lunLow
}

function didFunction(request: SendRequest, code: number, task: TaskReference): Promise<boolean> {
  return askTaskFunction(request, code, task).catch(() => false)
}
