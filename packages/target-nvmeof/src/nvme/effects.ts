import type { NvmeCommand } from './command.ts'
import { AdminOpcode, FABRICS, IoOpcode } from './opcode.ts'

// Commands that may run twice: they read, or what they do is done after the first run.
const IDEMPOTENT_IO: ReadonlySet<number> = new Set([
  IoOpcode.Flush,
  IoOpcode.Read,
  IoOpcode.Compare,
  IoOpcode.Verify,
  IoOpcode.ReservationReport,
  0x12, // I/O Management Receive
  0x7a, // Zone Management Receive
])
const IDEMPOTENT_ADMIN: ReadonlySet<number> = new Set([
  AdminOpcode.Identify,
  AdminOpcode.GetFeatures,
  AdminOpcode.KeepAlive,
  0x1a, // Directive Receive
  0x86, // Get LBA Status
])

// Log pages that a read leaves as they are; others begin, end or forget something when they are read.
const LASTING_LOGS: ReadonlySet<number> = new Set([
  0x00, // supported log pages
  0x01, // errors
  0x02, // SMART
  0x03, // firmware slots
  0x05, // commands supported and effects
  0x06, // device self-test
  0x09, // endurance group
  0x0c, // asymmetric namespace access
  0x12, // supported features
  0x13, // management commands supported
  0x70, // discovery
  0x71, // host discovery
  0x81, // sanitize status
])

/** Whether a command may be sent again where it is not known if it ran. */
export function isIdempotent({ admin, opcode, cdw10 = 0 }: NvmeCommand): boolean {
  if (!admin) return IDEMPOTENT_IO.has(opcode)
  if (opcode === AdminOpcode.GetLogPage) return LASTING_LOGS.has(cdw10 & 0xff)
  return IDEMPOTENT_ADMIN.has(opcode)
}

// Commands that change nothing that is stored; what is not known may change it.
const HARMLESS_IO: ReadonlySet<number> = new Set([
  ...IDEMPOTENT_IO,
  IoOpcode.ReservationRegister,
  IoOpcode.ReservationAcquire,
  IoOpcode.ReservationRelease,
  0x18, // Cancel
  FABRICS,
])
const HARMLESS_ADMIN: ReadonlySet<number> = new Set([
  ...IDEMPOTENT_ADMIN,
  AdminOpcode.GetLogPage,
  AdminOpcode.Abort,
  AdminOpcode.AsyncEvent,
  AdminOpcode.CrossControllerReset,
  0x14, // Device Self-test
  0x19, // Directive Send
  FABRICS,
])
// Features from here on are of a vendor, who alone knows what they do.
const VENDOR_FEATURES = 0xc0

/** Whether a command may change data of a namespace. */
export function mayChangeData({ admin, opcode, cdw10 = 0 }: NvmeCommand): boolean {
  if (!admin) return !HARMLESS_IO.has(opcode)
  if (opcode === AdminOpcode.SetFeatures) return (cdw10 & 0xff) >= VENDOR_FEATURES
  return !HARMLESS_ADMIN.has(opcode)
}

/** Whether a command changes who may do what. */
export function changesReservations({ admin, opcode }: NvmeCommand): boolean {
  if (admin) return false
  return (
    opcode === IoOpcode.ReservationRegister ||
    opcode === IoOpcode.ReservationAcquire ||
    opcode === IoOpcode.ReservationRelease
  )
}
