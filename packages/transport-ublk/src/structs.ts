import { DESCRIPTOR_BYTES, MAX_DEPTH, OP_URING_CMD } from './protocol.ts'

/** struct ublksrv_ctrl_dev_info: a device as the driver sees it. */
export interface DeviceInfo {
  readonly queues: number
  readonly depth: number
  /** One of `State`. */
  readonly state: number
  /** Bytes of one buffer. */
  readonly maxIoBytes: number
  readonly id: number
  /** Process that serves it; -1 where there is none. */
  readonly pid: number
  /** Low word of the flags. */
  readonly flags: number
  /** ublksrv_flags, which the driver keeps for us: two 32-bit hashes, of the name and of the volume. */
  readonly nameHash: number
  readonly volumeHash: number
}

export const INFO_BYTES = 64

/** Lets the driver choose the number of a new device. */
export const ANY_DEVICE = 0xffff_ffff

export function encodeInfo(info: DeviceInfo): Uint8Array {
  const bytes = new Uint8Array(INFO_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, info.queues, true)
  view.setUint16(2, info.depth, true)
  view.setUint16(4, info.state, true)
  view.setUint32(8, info.maxIoBytes, true)
  view.setUint32(12, info.id, true)
  view.setInt32(16, info.pid, true)
  view.setUint32(24, info.flags, true)
  view.setUint32(32, info.volumeHash, true)
  view.setUint32(36, info.nameHash, true)
  return bytes
}

export function decodeInfo(bytes: Uint8Array): DeviceInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    queues: view.getUint16(0, true),
    depth: view.getUint16(2, true),
    state: view.getUint16(4, true),
    maxIoBytes: view.getUint32(8, true),
    id: view.getUint32(12, true),
    pid: view.getInt32(16, true),
    flags: view.getUint32(24, true),
    volumeHash: view.getUint32(32, true),
    nameHash: view.getUint32(36, true),
  }
}

/** struct ublk_params, as far as it is used: its header, ublk_param_basic and ublk_param_discard. */
export interface Parameters {
  /** Or'ed values of `Attribute`. */
  readonly attributes: number
  /** Powers of two, of bytes. */
  readonly logicalBlockShift: number
  readonly physicalBlockShift: number
  readonly optimalIoShift: number
  readonly minimumIoShift: number
  /** Sectors. */
  readonly maxSectors: number
  readonly sectors: number
  /** Bytes; 0 where there is no discard. */
  readonly discardGranularity: number
  /** Sectors. */
  readonly maxDiscardSectors: number
  readonly maxWriteZeroesSectors: number
}

/** Header (8 bytes), basic (32) and discard (20). */
export const PARAMETERS_BYTES = 60

export function encodeParameters(parameters: Parameters, types: number): Uint8Array {
  const bytes = new Uint8Array(PARAMETERS_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, PARAMETERS_BYTES, true)
  view.setUint32(4, types, true)
  view.setUint32(8, parameters.attributes, true)
  view.setUint8(12, parameters.logicalBlockShift)
  view.setUint8(13, parameters.physicalBlockShift)
  view.setUint8(14, parameters.optimalIoShift)
  view.setUint8(15, parameters.minimumIoShift)
  view.setUint32(16, parameters.maxSectors, true)
  setNumber64(view, 24, parameters.sectors)
  view.setUint32(44, parameters.discardGranularity, true)
  view.setUint32(48, parameters.maxDiscardSectors, true)
  view.setUint32(52, parameters.maxWriteZeroesSectors, true)
  view.setUint16(56, parameters.maxDiscardSectors > 0 ? 1 : 0, true)
  return bytes
}

export function decodeParameters(bytes: Uint8Array): Parameters {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    attributes: view.getUint32(8, true),
    logicalBlockShift: view.getUint8(12),
    physicalBlockShift: view.getUint8(13),
    optimalIoShift: view.getUint8(14),
    minimumIoShift: view.getUint8(15),
    maxSectors: view.getUint32(16, true),
    sectors: view.getUint32(24, true) + view.getUint32(28, true) * 2 ** 32,
    discardGranularity: view.getUint32(44, true),
    maxDiscardSectors: view.getUint32(48, true),
    maxWriteZeroesSectors: view.getUint32(52, true),
  }
}

/** struct ublksrv_ctrl_cmd. */
export interface ControlCommand {
  readonly opcode: number
  readonly device: number
  /** Where the payload is, 0 where there is none. */
  readonly address: number
  /** Bytes there, the path included. */
  readonly length: number
  /** The argument that is no payload. */
  readonly data: number
  /** Bytes of the path before the payload, its NUL included. */
  readonly pathLength: number
}

const NO_QUEUE = 0xffff

/** Fills a zeroed 128-byte submission entry, which begins at word `at`. */
export function writeControlCommand(
  words: Uint32Array,
  at: number,
  fd: number,
  slot: number,
  command: ControlCommand,
): void {
  words[at] = OP_URING_CMD
  words[at + 1] = fd
  words[at + 2] = command.opcode
  words[at + 8] = slot
  words[at + 12] = command.device
  words[at + 13] = NO_QUEUE | (command.length << 16)
  words[at + 14] = command.address >>> 0
  words[at + 15] = command.address / 2 ** 32
  words[at + 16] = command.data >>> 0
  words[at + 17] = command.data / 2 ** 32
  words[at + 18] = command.pathLength
}

/** Fills a zeroed 64-byte submission entry with a struct ublksrv_io_cmd; its user data is the tag. */
export function writeQueueCommand(
  words: Uint32Array,
  at: number,
  fd: number,
  opcode: number,
  queue: number,
  tag: number,
  result: number,
  addressLow: number,
  addressHigh: number,
): void {
  words[at] = OP_URING_CMD
  words[at + 1] = fd
  words[at + 2] = opcode
  words[at + 8] = tag
  words[at + 12] = queue | (tag << 16)
  words[at + 13] = result
  words[at + 14] = addressLow
  words[at + 15] = addressHigh
}

/** Bytes of the mapping of one queue's descriptors. */
export function descriptorBytes(depth: number, pageSize: number): number {
  return Math.ceil((depth * DESCRIPTOR_BYTES) / pageSize) * pageSize
}

/** Where in the character device the descriptors of a queue begin. */
export function descriptorOffset(queue: number, pageSize: number): number {
  return queue * descriptorBytes(MAX_DEPTH, pageSize)
}

function setNumber64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}
