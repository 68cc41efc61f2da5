/** Opcodes of PDUs that an initiator sends (RFC 7143 §11.2.1.2). */
export const Request = {
  NopOut: 0x00,
  Command: 0x01,
  TaskManagement: 0x02,
  Login: 0x03,
  Text: 0x04,
  DataOut: 0x05,
  Logout: 0x06,
} as const

/** Opcodes of PDUs that a target sends (RFC 7143 §11.2.1.2). */
export const Response = {
  NopIn: 0x20,
  Command: 0x21,
  TaskManagement: 0x22,
  Login: 0x23,
  Text: 0x24,
  DataIn: 0x25,
  Logout: 0x26,
  ReadyToTransfer: 0x31,
  Async: 0x32,
  Reject: 0x3f,
} as const

/** Or'ed into an opcode: takes no place in the command window. */
export const IMMEDIATE = 0x40

/** The tag that stands for none. */
export const NO_TAG = 0xffff_ffff

/** Bytes of a basic header segment. */
export const HEADER_LENGTH = 48

/** Bytes of padding behind `length` bytes of data. */
export function padding(length: number): number {
  return -length & 3
}
