/** Opcodes of PDUs (RFC 7143 §11.2.1.2), by the name that a fault rule calls them. */
export const PduOpcode = {
  nopOut: 0x00,
  scsiCommand: 0x01,
  taskManagement: 0x02,
  login: 0x03,
  text: 0x04,
  dataOut: 0x05,
  logout: 0x06,
  snack: 0x10,
  nopIn: 0x20,
  scsiResponse: 0x21,
  taskManagementResponse: 0x22,
  loginResponse: 0x23,
  textResponse: 0x24,
  dataIn: 0x25,
  logoutResponse: 0x26,
  r2t: 0x31,
  async: 0x32,
  reject: 0x3f,
} as const
/** Name of a kind of PDU. @useDeclaredType */
export type PduName = keyof typeof PduOpcode

/** Size of a basic header segment. */
export const BHS = 48
/** "No tag" and "no number" in tag fields. */
export const NO_TAG = 0xffff_ffff
/** Bit of byte 0: not numbered in the command order. */
export const IMMEDIATE = 0x40
/** Bit of byte 1: the last PDU of its sequence. */
export const FINAL = 0x80

/** Reasons of a Reject PDU (RFC 7143 §11.17.1). */
export const RejectReason = {
  dataDigestError: 0x02,
  snackReject: 0x03,
  protocolError: 0x04,
  commandNotSupported: 0x05,
  immediateCommandReject: 0x06,
  taskInProgress: 0x07,
  invalidDataAck: 0x08,
  invalidPduField: 0x09,
  longOperationReject: 0x0a,
  waitingForLogout: 0x0c,
} as const

const names = new Map<number, PduName>(Object.entries(PduOpcode).map(([name, value]) => [value, name as PduName]))

/** Name of an opcode, for messages. */
export function pduName(opcode: number): string {
  return names.get(opcode) ?? `opcode 0x${opcode.toString(16)}`
}
