/** Opcodes of admin queues (NVMe Base 2.1 §5). */
export const AdminOpcode = {
  getLogPage: 0x02,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asyncEvent: 0x0c,
  keepAlive: 0x18,
  crossReset: 0x38,
} as const

/** Opcodes of I/O queues (NVM command set 1.1 §3, NVMe Base 2.1 §7). */
export const IoOpcode = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  compare: 0x05,
  writeZeroes: 0x08,
  datasetManagement: 0x09,
  verify: 0x0c,
  reservationRegister: 0x0d,
  reservationReport: 0x0e,
  reservationAcquire: 0x11,
  reservationRelease: 0x15,
} as const

/** Opcode of fabrics commands. */
export const FABRICS = 0x7f
/** Their types (NVMe Base 2.1 §6). */
export const FabricsType = {
  propertySet: 0x00,
  connect: 0x01,
  propertyGet: 0x04,
  authSend: 0x05,
  authReceive: 0x06,
  disconnect: 0x08,
} as const

/** Bytes of a submission queue entry. */
export const SQE = 64
/** NSID of all namespaces. */
export const ALL_NAMESPACES = 0xffff_ffff
/** The well-known NQN of discovery controllers. */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

/** SGL identifiers: type and subtype (NVMe Base 2.1 §4.3.2). */
export const Sgl = { inCapsule: 0x01, transport: 0x5a } as const
