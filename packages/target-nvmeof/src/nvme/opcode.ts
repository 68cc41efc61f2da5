/** Opcodes of the admin queue (NVMe Base 2.1 §5). Bits 1:0 of every opcode say which way its data goes. */
export const AdminOpcode = {
  /** Get Log Page. */
  GetLogPage: 0x02,
  /** Identify. */
  Identify: 0x06,
  /** Abort: a hint, and never a proof. */
  Abort: 0x08,
  /** Set Features. */
  SetFeatures: 0x09,
  /** Get Features. */
  GetFeatures: 0x0a,
  /** Asynchronous Event Request: answered when there is an event. */
  AsyncEvent: 0x0c,
  /** Keep Alive. */
  KeepAlive: 0x18,
  /** Cross-Controller Reset (NVMe Base 2.3). */
  CrossControllerReset: 0x38,
} as const

/** Opcodes of I/O queues (NVMe Base 2.1 §7, NVM Command Set 1.1 §3). */
export const IoOpcode = {
  /** Flush. */
  Flush: 0x00,
  /** Write. */
  Write: 0x01,
  /** Read. */
  Read: 0x02,
  /** Compare. */
  Compare: 0x05,
  /** Write Zeroes. */
  WriteZeroes: 0x08,
  /** Dataset Management. */
  DatasetManagement: 0x09,
  /** Verify. */
  Verify: 0x0c,
  /** Reservation Register. */
  ReservationRegister: 0x0d,
  /** Reservation Report. */
  ReservationReport: 0x0e,
  /** Reservation Acquire. */
  ReservationAcquire: 0x11,
  /** Reservation Release. */
  ReservationRelease: 0x15,
} as const

/** Opcode of every fabrics command, on both kinds of queues (NVMe Base 2.1 §6). */
export const FABRICS = 0x7f

/** Types of fabrics commands: they stand where other commands have the low byte of the namespace. */
export const FabricsType = {
  PropertySet: 0x00,
  Connect: 0x01,
  PropertyGet: 0x04,
  AuthenticationSend: 0x05,
  AuthenticationReceive: 0x06,
} as const
