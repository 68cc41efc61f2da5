/**
 * How a command ends, as the status field of its completion without the phase (NVMe Base 2.1 §4.2.3): SC in bits 7:0, SCT
 * 10:8, CRD 12:11, M 13, DNR 14; 0: success.
 */
export type Status = number

/** Do not retry. */
export const DNR = 0x4000

/** Statuses by what they say: SCT << 8 | SC. */
export const Sc = {
  success: 0x0000,
  invalidOpcode: 0x0001,
  invalidField: 0x0002,
  idConflict: 0x0003,
  internalError: 0x0006,
  abortRequested: 0x0007,
  invalidNamespace: 0x000b,
  sequenceError: 0x000c,
  invalidSglDescriptor: 0x000d,
  dataLength: 0x000f,
  invalidSglType: 0x0011,
  invalidSglOffset: 0x0016,
  invalidHostFormat: 0x0018,
  writeProtected: 0x0020,
  transientTransport: 0x0022,
  outOfRange: 0x0080,
  capacityExceeded: 0x0081,
  notReady: 0x0082,
  reservationConflict: 0x0083,
  asyncLimit: 0x0105,
  invalidLog: 0x0109,
  invalidFeature: 0x0109,
  notChangeable: 0x010e,
  notSaveable: 0x010d,
  invalidController: 0x011f,
  resetInProgress: 0x013f,
  logPageFull: 0x0140,
  limitExceeded: 0x0141,
  incompatibleFormat: 0x0180,
  controllerBusy: 0x0181,
  connectInvalid: 0x0182,
  invalidHost: 0x0184,
  authenticationRequired: 0x0191,
  writeFault: 0x0280,
  readError: 0x0281,
  compareFailed: 0x0285,
  internalPathError: 0x0300,
  persistentLoss: 0x0301,
  inaccessible: 0x0302,
  transition: 0x0303,
  hostPathError: 0x0370,
} as const
