import type { SignalOptions } from './signal.ts'

/** Options of a SCSI command sent by hand. */
export interface ScsiOptions extends SignalOptions {
  /** How long the answer may take, milliseconds. @defaultValue 30000 */
  timeout?: number
}

/** The same for a device, which has several paths. */
export interface DeviceScsiOptions extends ScsiOptions {
  /** Id of the path to send it through, and no other; left out: the device chooses. */
  path?: string
}

/** What a SCSI target answered, whatever the status. */
export interface ScsiAnswer {
  /** Status byte (SAM-5 §5.3.1); 0 is GOOD, 2 is CHECK CONDITION. */
  readonly status: number
  /** Sense data (SPC-5); empty where there is none. */
  readonly sense: Uint8Array
  /** What was received. */
  readonly data: Uint8Array
  /** Bytes asked for or offered that were not transferred. */
  readonly residual: number
}

/** Milliseconds; see {@link ScsiOptions.timeout}. */
export const SCSI_TIMEOUT = 30_000

// The longest delay that setTimeout keeps.
const LONGEST = 2 ** 31 - 1

/** Throws a TypeError that names a wrong argument of a SCSI command. */
export function checkScsi(cdb: Uint8Array, data: Uint8Array | number, timeout: number | undefined): void {
  if (!(cdb instanceof Uint8Array)) throw new TypeError(`cdb is ${typeof cdb}; it must be a Uint8Array`)
  if (cdb.length < 6 || cdb.length > 260) {
    throw new TypeError(`cdb has ${cdb.length} bytes; a command descriptor block has 6 to 260`)
  }
  if (!(data instanceof Uint8Array) && !(Number.isInteger(data) && data >= 0 && data < 2 ** 32)) {
    throw new TypeError(`data is ${data}; it must be the bytes to send, or how many to receive, below 2 ** 32`)
  }
  if (timeout !== undefined && !(timeout >= 1 && timeout <= LONGEST)) {
    throw new TypeError(`timeout is ${timeout}; it must be 1 to ${LONGEST} milliseconds`)
  }
}

// Commands that may run twice: they read, or what they do is done after the first run (SPC-5, SBC-4).
const IDEMPOTENT: ReadonlySet<number> = new Set([
  0x00, // TEST UNIT READY
  0x08, // READ (6)
  0x12, // INQUIRY
  0x1a, // MODE SENSE (6)
  0x1c, // RECEIVE DIAGNOSTIC RESULTS
  0x25, // READ CAPACITY (10)
  0x28, // READ (10)
  0x2f, // VERIFY (10)
  0x34, // PRE-FETCH (10)
  0x35, // SYNCHRONIZE CACHE (10)
  0x37, // READ DEFECT DATA (10)
  0x3c, // READ BUFFER (10)
  0x4d, // LOG SENSE
  0x5a, // MODE SENSE (10)
  0x5e, // PERSISTENT RESERVE IN
  0x88, // READ (16)
  0x8f, // VERIFY (16)
  0x90, // PRE-FETCH (16)
  0x91, // SYNCHRONIZE CACHE (16)
  0xa0, // REPORT LUNS
  0xa8, // READ (12)
  0xaf, // VERIFY (12)
  0xb7, // READ DEFECT DATA (12)
])

// Of opcodes shared by several commands, the service actions that may run twice.
const IDEMPOTENT_ACTIONS: ReadonlyMap<number, ReadonlySet<number>> = new Map([
  // SERVICE ACTION IN (16): READ CAPACITY (16), GET LBA STATUS, REPORT REFERRALS
  [0x9e, new Set([0x10, 0x12, 0x13])],
  // MAINTENANCE IN: REPORT IDENTIFYING INFORMATION, TARGET PORT GROUPS, ALIASES, SUPPORTED OPERATION
  // CODES, SUPPORTED TASK MANAGEMENT FUNCTIONS, PRIORITY, TIMESTAMP
  [0xa3, new Set([0x05, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f])],
])

// Variable length CDB (SPC-5): its service action stands in bytes 8 and 9.
const VARIABLE_LENGTH = 0x7f
const READ_32 = 0x0009
const VERIFY_32 = 0x000a

/** Whether a command may be sent again where it is not known if it ran. */
export function isIdempotent(cdb: Uint8Array): boolean {
  const opcode = byte(cdb, 0)
  if (IDEMPOTENT.has(opcode)) return true
  if (opcode === VARIABLE_LENGTH) {
    const action = (byte(cdb, 8) << 8) | byte(cdb, 9)
    return action === READ_32 || action === VERIFY_32
  }
  return IDEMPOTENT_ACTIONS.get(opcode)?.has(byte(cdb, 1) & 0x1f) === true
}

// Commands that write to the medium (SBC-4, SPC-5); what is behind a shared opcode is not told apart.
const CHANGING: ReadonlySet<number> = new Set([
  0x04, // FORMAT UNIT
  0x0a, // WRITE (6)
  0x2a, // WRITE (10)
  0x2e, // WRITE AND VERIFY (10)
  0x3f, // WRITE LONG (10)
  0x41, // WRITE SAME (10)
  0x42, // UNMAP
  0x48, // SANITIZE
  0x53, // XDWRITEREAD (10)
  0x7f, // variable length
  0x83, // EXTENDED COPY
  0x89, // COMPARE AND WRITE
  0x8a, // WRITE (16)
  0x8b, // ORWRITE (16)
  0x8e, // WRITE AND VERIFY (16)
  0x93, // WRITE SAME (16)
  0x9a, // WRITE STREAM (16)
  0x9c, // WRITE ATOMIC (16)
  0x9f, // SERVICE ACTION OUT (16)
  0xaa, // WRITE (12)
  0xae, // WRITE AND VERIFY (12)
])

/** Whether a command may change data of the medium. */
export function mayChangeData(cdb: Uint8Array): boolean {
  return CHANGING.has(byte(cdb, 0)) && !isIdempotent(cdb)
}

/** Whether a command changes who may do what (SPC-5, PERSISTENT RESERVE OUT). */
export function changesReservations(cdb: Uint8Array): boolean {
  return byte(cdb, 0) === 0x5f
}

const Status = { checkCondition: 0x02, busy: 0x08, taskSetFull: 0x28 } as const

// Sense key and additional sense code of commands that another path may take (SPC-5).
const ELSEWHERE: ReadonlySet<number> = new Set([
  0x02_04_0a, // not accessible, state transition
  0x02_04_0b, // not accessible, standby
  0x02_04_0c, // not accessible, unavailable
  0x05_25_00, // no such logical unit on this port
])

/** What an answer means for the command. */
export type Verdict = 'ran' | 'again' | 'elsewhere'

/**
 * Whether the command ran, did not run but may at once (a unit attention is over once it was told,
 * SAM-5 §5.14), or did not run and may on another path.
 */
export function judge({ status, sense }: ScsiAnswer): Verdict {
  if (status === Status.busy || status === Status.taskSetFull) return 'elsewhere'
  if (status !== Status.checkCondition) return 'ran'
  const code = senseCode(sense)
  if (code >> 16 === 0x06) return 'again'
  return ELSEWHERE.has(code) ? 'elsewhere' : 'ran'
}

// Sense key, ASC and ASCQ of current errors as one number; 0 for anything else. A deferred error is
// news of an earlier command, which whoever sends this one should get.
function senseCode(sense: Uint8Array): number {
  const form = byte(sense, 0) & 0x7f
  if (form === 0x70) return ((byte(sense, 2) & 0x0f) << 16) | (byte(sense, 12) << 8) | byte(sense, 13)
  if (form === 0x72) return ((byte(sense, 1) & 0x0f) << 16) | (byte(sense, 2) << 8) | byte(sense, 3)
  return 0
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}
