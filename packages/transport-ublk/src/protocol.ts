// Names and numbers of linux/ublk_cmd.h, without their prefixes.

const READ = 2
const READ_WRITE = 3
const CONTROL_COMMAND_BYTES = 32
const IO_COMMAND_BYTES = 16

/** _IOC() of x86 and arm, type 'u'. */
function encoded(direction: number, number: number, size: number): number {
  return ((direction << 30) | (size << 16) | (0x75 << 8) | number) >>> 0
}

function control(direction: number, number: number): number {
  return encoded(direction, number, CONTROL_COMMAND_BYTES)
}

/** Control commands, in the encoding of Linux 6.4 and newer; {@link legacyOpcode} has the older one. */
export const Command = {
  GetInfo: control(READ, 0x02),
  AddDevice: control(READ_WRITE, 0x04),
  DeleteDevice: control(READ_WRITE, 0x05),
  StartDevice: control(READ_WRITE, 0x06),
  StopDevice: control(READ_WRITE, 0x07),
  SetParameters: control(READ_WRITE, 0x08),
  GetParameters: control(READ, 0x09),
  StartRecovery: control(READ_WRITE, 0x10),
  EndRecovery: control(READ_WRITE, 0x11),
  GetInfo2: control(READ, 0x12),
  GetFeatures: control(READ, 0x13),
  DeleteDeviceAsync: control(READ, 0x14),
  UpdateSize: control(READ_WRITE, 0x15),
  QuiesceDevice: control(READ_WRITE, 0x16),
} as const
/** One of the values of {@link Command}. */
export type Command = (typeof Command)[keyof typeof Command]

/** Queue commands, in the same encoding. */
export const QueueCommand = {
  Fetch: encoded(READ_WRITE, 0x20, IO_COMMAND_BYTES),
  CommitAndFetch: encoded(READ_WRITE, 0x21, IO_COMMAND_BYTES),
} as const

/** A command as kernels before 6.4 know it. */
export function legacyOpcode(command: number): number {
  return command & 0xff
}

const names = new Map<number, string>(Object.entries(Command).map(([name, value]) => [value, name]))

/** Name of a control command, for people. */
export function commandName(command: number): string {
  return names.get(command) ?? `command 0x${command.toString(16)}`
}

/** Flags of a device, which are also the features of the driver; all that are used here are in the low word. */
export const Flag = {
  UserRecovery: 1 << 3,
  UserRecoveryReissue: 1 << 4,
  UnprivilegedDevice: 1 << 5,
  IoctlEncoding: 1 << 6,
  UpdateSize: 1 << 10,
  Quiesce: 1 << 12,
  NoPartitionScan: 1 << 18,
} as const

/** State of a device. */
export const State = { Dead: 0, Live: 1, Quiesced: 2, FailIo: 3 } as const

/** Bits 0 to 7 of the first word of an I/O descriptor. */
export const Operation = { Read: 0, Write: 1, Flush: 2, Discard: 3, WriteZeroes: 5 } as const

/** The other bits of that word. */
export const OperationFlag = { Fua: 1 << 13, NoUnmap: 1 << 15 } as const

/** Attributes of a disk. */
export const Attribute = { ReadOnly: 1, Rotational: 2, VolatileCache: 4, Fua: 8 } as const

/** Which groups of parameters are given. */
export const ParameterType = { Basic: 1, Discard: 2 } as const

/** Bytes of one I/O descriptor. */
export const DESCRIPTOR_BYTES = 24
/** What the driver accepts as depth of a queue, and what the queues' descriptors are apart in the mapping. */
export const MAX_DEPTH = 4096
/** What the driver accepts as number of queues. */
export const MAX_QUEUES = 4096
/** Bytes of the largest single transfer. */
export const MAX_TRANSFER = 32 * 1024 * 1024
/** Bytes; the unit of offsets and lengths on the wire. */
export const SECTOR = 512
/** IORING_OP_URING_CMD. */
export const OP_URING_CMD = 46
