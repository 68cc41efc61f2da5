import { BlockError } from '@blockbraid/core'

/** Stages of a login, as CSG and NSG number them (RFC 7143 §11.12.3). */
export const Stage = { Security: 0, Operational: 1, FullFeature: 3 } as const

/** One of {@link Stage}. */
export type Stage = (typeof Stage)[keyof typeof Stage]

/** Length of a basic header segment, bytes. */
const headerLength = 48

/** Command number of every request of a login and of the first command after it (§11.12.8). */
export const firstCmdSn = 1

/** Task tag of every request of a login. */
const taskTag = 0

/** What differs between the requests of a login. */
export interface LoginRequest {
  readonly isid: Uint8Array
  readonly stage: Stage
  /** The stage to go on to, where we are willing; T bit. */
  readonly next: Stage | undefined
  /** Whether the text goes on in the next request; C bit. */
  readonly more: boolean
  readonly expStatSn: number
  readonly text: Uint8Array
}

/** A whole Login Request of a new session: header, text, padding (§11.12). */
export function encodeLoginRequest({ isid, stage, next, more, expStatSn, text }: LoginRequest): Buffer {
  const pdu = Buffer.alloc(headerLength + Math.ceil(text.length / 4) * 4)
  pdu[0] = 0x43
  pdu[1] = (next === undefined ? 0 : 0x80 | next) | (more ? 0x40 : 0) | (stage << 2)
  pdu.writeUIntBE(text.length, 5, 3)
  pdu.set(isid, 8)
  pdu.writeUInt32BE(taskTag, 16)
  pdu.writeUInt32BE(firstCmdSn, 24)
  pdu.writeUInt32BE(expStatSn, 28)
  pdu.set(text, headerLength)
  return pdu
}

/** The fields of a Login Response (§11.13). */
export interface LoginResponse {
  readonly transit: boolean
  readonly more: boolean
  readonly stage: number
  readonly next: number
  readonly tsih: number
  readonly statSn: number
  readonly expCmdSn: number
  readonly maxCmdSn: number
  readonly statusClass: number
  readonly statusDetail: number
  readonly text: Uint8Array
}

/** Reads an answer to a Login Request; where the login goes on, checks what never changes. Throws PROTOCOL. */
export function readLoginResponse(bhs: Uint8Array, data: Uint8Array, isid: Uint8Array): LoginResponse {
  if (bhs.length !== headerLength)
    throw new BlockError('PROTOCOL', `header of ${bhs.length} bytes, not ${headerLength}`)
  const header = Buffer.from(bhs.buffer, bhs.byteOffset, headerLength)
  checkOpcode(header)
  const length = header.readUIntBE(5, 3)
  if (data.length < length) {
    throw new BlockError('PROTOCOL', `login response announces ${length} bytes of text and has ${data.length}`)
  }
  const statusClass = header[36]!
  if (statusClass === 0) checkConstants(header, isid)
  return {
    transit: (header[1]! & 0x80) !== 0,
    more: (header[1]! & 0x40) !== 0,
    stage: (header[1]! >> 2) & 3,
    next: header[1]! & 3,
    tsih: header.readUInt16BE(14),
    statSn: header.readUInt32BE(24),
    expCmdSn: header.readUInt32BE(28),
    maxCmdSn: header.readUInt32BE(32),
    statusClass,
    statusDetail: header[37]!,
    text: data.subarray(0, length),
  }
}

function checkOpcode(header: Buffer): void {
  const opcode = header[0]! & 0x3f
  if (opcode === 0x3f) {
    throw new BlockError('PROTOCOL', `the target rejects the login request, reason 0x${header[2]!.toString(16)}`)
  }
  if (opcode !== 0x23) {
    throw new BlockError('PROTOCOL', `opcode 0x${opcode.toString(16)} during login, not a login response`)
  }
}

function checkConstants(header: Buffer, isid: Uint8Array): void {
  if (header[3] !== 0) throw new BlockError('PROTOCOL', `the target speaks version ${header[3]} of iSCSI, not 0`)
  if (header.readUInt32BE(16) !== taskTag) throw new BlockError('PROTOCOL', 'login response with a wrong task tag')
  if (!header.subarray(8, 14).equals(isid)) throw new BlockError('PROTOCOL', 'login response with a wrong ISID')
}
