import { Errno } from '@blockbraid/core'

/** Numbers of the NBD protocol, as its specification (doc/proto.md of the NBD project) names them. */
export const Magic = {
  server: 0x4e42444d41474943n,
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  extendedRequest: 0x21e41c71,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
  extendedReply: 0x6e8a278c,
} as const

/** Handshake flags; those of the client have the same values. */
export const Handshake = { fixedNewstyle: 1, noZeroes: 2 } as const

/** Options of the handshake. */
export const Option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  go: 7,
  structuredReply: 8,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const

/** Replies to options; errors have the highest bit. */
export const Reply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errors: 0x8000_0000,
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  shutdown: 0x8000_0007,
  blockSizeRequired: 0x8000_0008,
} as const

/** Kinds of information that GO gives. */
export const Info = { export: 0, name: 1, description: 2, blockSize: 3 } as const

/** Transmission flags of an export. */
export const Flag = {
  readOnly: 2,
  flush: 4,
  fua: 8,
  trim: 32,
  writeZeroes: 64,
  df: 128,
  multiConn: 256,
  cache: 1024,
  fastZero: 2048,
} as const

/** Commands. */
export const Command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const

/** Flags of a command. */
export const CommandFlag = { fua: 1, noHole: 2, df: 4, one: 8, fastZero: 16, payloadLength: 32 } as const

/** Types of a reply chunk; errors have the highest bit. */
export const Chunk = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  blockStatusExtended: 6,
  errors: 0x8000,
  done: 1,
} as const

/** Flags of a `base:allocation` descriptor. */
export const Allocation = { hole: 1, zero: 2 } as const

const defined: readonly number[] = [
  Errno.EPERM,
  Errno.EIO,
  Errno.ENOMEM,
  Errno.EINVAL,
  Errno.ENOSPC,
  Errno.EOVERFLOW,
  Errno.EOPNOTSUPP,
  Errno.ESHUTDOWN,
]

/** The Linux errno for an error on the wire; the specification wants unknown ones taken for EINVAL. */
export function errnoFromWire(value: number): number {
  return defined.includes(value) ? value : Errno.EINVAL
}

/** Reads 32 bits, big-endian. */
export function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

/** Reads 64 bits, big-endian; exact below 2 ** 53. */
export function uint64(bytes: Uint8Array, at: number): number {
  return uint32(bytes, at) * 2 ** 32 + uint32(bytes, at + 4)
}

/** Writes 32 bits, big-endian. */
export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Writes 64 bits, big-endian. */
export function putUint64(bytes: Uint8Array, at: number, value: number): void {
  putUint32(bytes, at, Math.floor(value / 2 ** 32))
  putUint32(bytes, at + 4, value)
}
