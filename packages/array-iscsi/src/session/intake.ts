import { get32 } from '@blockbraid/wire'
import { FINAL, IMMEDIATE } from '../pdu/opcodes.ts'
import { prepare } from '../scsi/commands.ts'
import { lunOfPdu } from '../scsi/lun.ts'
import type { Task } from '../scsi/task.ts'
import { takeTask } from '../scsi/task.ts'
import type { Session } from './session.ts'

const READ = 0x40
const WRITE = 0x20
// Task attributes (RFC 7143 §11.3.1).
const ATTRIBUTE = 0x07
const ORDERED = 0x02

/** Makes a task of the SCSI Command at `at` (RFC 7143 §11.3). */
export function readCommand(session: Session, bytes: Buffer, at: number): Task {
  const flags = bytes[at + 1]!
  const task = takeTask()
  task.session = session
  task.tag = get32(bytes, at + 16)
  task.lunHigh = get32(bytes, at + 8)
  task.lunLow = get32(bytes, at + 12)
  task.immediate = (bytes[at]! & IMMEDIATE) !== 0
  task.reads = (flags & READ) !== 0
  task.writes = (flags & WRITE) !== 0
  task.ordered = (flags & ATTRIBUTE) === ORDERED
  task.expected = get32(bytes, at + 20)
  task.cmdSn = get32(bytes, at + 24)
  task.opcode = bytes[at + 32]!
  task.unsolicited = (flags & FINAL) === 0
  task.nexus = session.nexuses.get(lunOfPdu(bytes, at)) ?? null
  if (session.host.keepsCdb || !isPlain(task.opcode)) task.cdb = Buffer.from(bytes.subarray(at + 32, at + 48))
  task.refused = prepare(task, bytes, at + 32)
  return task
}

/** What is wrong with a command that comes with `length` bytes of data; empty where it fits. */
export function commandFault(session: Session, task: Task, length: number): string {
  const { agreed } = session
  if (session.identity.discovery) return 'a SCSI command in a discovery session'
  if (session.tasks.has(task.tag)) return `task tag ${task.tag} is in use`
  if (length > 0) {
    if (!agreed.immediateData) return 'immediate data, which was not agreed on'
    if (!task.writes) return 'immediate data with a command that writes nothing'
    if (length > task.expected) return `${length} bytes of immediate data for ${task.expected}`
    if (length > agreed.firstBurstLength) return `${length} bytes of immediate data, more than FirstBurstLength`
  }
  if (task.unsolicited && (agreed.initialR2T || !task.writes)) return 'a command without the final bit'
  return ''
}

function isPlain(opcode: number): boolean {
  return opcode === 0x28 || opcode === 0x88 || opcode === 0x2a || opcode === 0x8a
}
