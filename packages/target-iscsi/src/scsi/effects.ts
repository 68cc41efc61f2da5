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

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}
