import type { Task } from './scsi/task.ts'
import type { SessionIdentity } from './session/host.ts'
import type { IscsiCounters, IscsiLogEntry } from './types.ts'

/** The most violations and log entries that are kept. */
const MOST = 1_000_000

/** What an array counts, and what it writes down. */
export class Records implements IscsiCounters {
  connections = 0
  logins = 0
  reinstatements = 0
  logouts = 0
  taskManagement = 0
  aborts = 0
  pongs = 0
  ignored = 0
  strayBytes = 0
  readonly #opcodes = new Float64Array(256)
  readonly violations: string[] = []
  readonly log: IscsiLogEntry[] = []

  get commands(): Record<number, number> {
    return Object.fromEntries([...this.#opcodes.entries()].filter(([, count]) => count > 0))
  }

  count(opcode: number): void {
    this.#opcodes[opcode]!++
  }

  violation(text: string): void {
    if (this.violations.length < MOST) this.violations.push(text)
  }

  record(identity: SessionIdentity, task: Task): void {
    if (this.log.length === MOST) return
    const { initiatorName, tsih, portal } = identity
    this.log.push({
      initiatorName,
      tsih,
      portal,
      lun: task.nexus?.mapping.lun ?? -1,
      cdb: task.cdb,
      cmdSn: task.cmdSn,
      immediateBytes: task.received,
    })
  }
}
