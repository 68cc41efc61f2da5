import type { Session } from '../../src/session/session.ts'
import { Direction, type Outcome, type Task } from '../../src/session/task.ts'

/** A command on its way, and how it ended: one entry for each call of `done`. */
export interface Running {
  readonly task: Task
  /** Its tag when it was sent; the task may have another one later. */
  readonly tag: number
  readonly ends: { readonly outcome: Outcome; readonly status: number; readonly received: number }[]
}

/** Sends a command to logical unit 5, or `lun`, that moves `data`. */
export function start(
  session: Session,
  direction: Direction,
  options: { data?: Uint8Array; owner?: object; lun?: number; onEnd?: () => void } = {},
): Running {
  const { data, owner = session, lun = 5, onEnd } = options
  const task = session.take()
  if (task === undefined) throw new Error('no task is left')
  task.owner = owner
  task.lunHigh = lun << 16
  task.lunLow = 0
  task.direction = direction
  task.length = data?.length ?? 0
  task.buffers = data === undefined ? [] : [data]
  task.lends = false
  task.changes = direction === Direction.Write
  const ends: Running['ends'] = []
  task.done = ({ outcome, status, received }) => {
    ends.push({ outcome, status, received })
    onEnd?.()
  }
  session.send(task)
  return { task, tag: task.tag, ends }
}
