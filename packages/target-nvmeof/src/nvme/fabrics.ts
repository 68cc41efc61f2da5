import { put16le } from '@blockbraid/wire'
import type { NvmeRequest } from './command.ts'
import { admin, checked } from './command.ts'
import { FABRICS, FabricsType } from './opcode.ts'

/** Controller that a host asks for where the subsystem is to choose one: the dynamic model. */
export const ANY_CONTROLLER = 0xffff
/** NQN of the discovery subsystem that every port may have (NVMe Base 2.1 §4.7). */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
const LONGEST_NQN = 223
const CONNECT_DATA = 1024

/** What Connect says (NVMe Base 2.1 §6.3). */
export interface ConnectFields {
  /** 0: the admin queue. */
  readonly queue: number
  /** Entries of the submission queue, 2 to 65536. */
  readonly entries: number
  /** Keep Alive Timeout, milliseconds; for the admin queue. @defaultValue 0 */
  readonly keepAliveTimeout?: number
  /**
   * Asks for no flow control of the submission queue (CATTR bit 2): a controller can then let the last data of a read stand for
   * its completion. One that has flow control all the same ignores it. @defaultValue false
   */
  readonly withoutFlowControl?: boolean
  /** {@link ANY_CONTROLLER}, or for an I/O queue the controller of its admin queue. */
  readonly controller: number
  readonly hostNqn: string
  /** UUID as text. */
  readonly hostId: string
  readonly subNqn: string
}

const WITHOUT_FLOW_CONTROL = 0x4_0000

/** Connect: the first command of every queue. */
export function connect(fields: ConnectFields): NvmeRequest {
  const data = new Uint8Array(CONNECT_DATA)
  data.set(uuidBytes(fields.hostId))
  put16le(data, 16, checked('controller', fields.controller, 0xffff))
  putNqn(data, 256, 'subNqn', fields.subNqn)
  putNqn(data, 512, 'hostNqn', fields.hostNqn)
  return fabrics(FabricsType.Connect, data, {
    cdw10: checked('queue', fields.queue, 0xffff) * 0x1_0000,
    cdw11:
      checked('entries', fields.entries - 1, 0xffff) | (fields.withoutFlowControl === true ? WITHOUT_FLOW_CONTROL : 0),
    cdw12: checked('keepAliveTimeout', fields.keepAliveTimeout ?? 0, 0xffff_ffff),
  })
}

/** Property Get of a property of 4 or 8 bytes (NVMe Base 2.1 §6.6); it comes in the result. */
export function propertyGet(offset: number, length: 4 | 8): NvmeRequest {
  return fabrics(FabricsType.PropertyGet, 0, { cdw10: length === 8 ? 1 : 0, cdw11: offset })
}

/** Property Set of a property of 4 bytes. */
export function propertySet(offset: number, value: number): NvmeRequest {
  return fabrics(FabricsType.PropertySet, 0, { cdw11: offset, cdw12: value })
}

// Security protocol of NVMe, and its specific part: DH-HMAC-CHAP and its like (NVMe Base 2.1 §8.3.4).
const NVME_SECURITY = 0xe901_0100

/** Authentication Send of a message. */
export function authenticationSend(message: Uint8Array): NvmeRequest {
  return fabrics(FabricsType.AuthenticationSend, message, { cdw10: NVME_SECURITY, cdw11: message.length })
}

/** Authentication Receive of a message of at most `length` bytes. */
export function authenticationReceive(length: number): NvmeRequest {
  return fabrics(FabricsType.AuthenticationReceive, length, { cdw10: NVME_SECURITY, cdw11: length })
}

function fabrics(
  type: number,
  data: Uint8Array | number,
  fields: { cdw10?: number; cdw11?: number; cdw12?: number },
): NvmeRequest {
  return admin(FABRICS, data, { nsid: type, ...fields })
}

function putNqn(out: Uint8Array, at: number, field: string, nqn: string): void {
  const bytes = Buffer.from(nqn)
  if (bytes.length === 0 || bytes.length > LONGEST_NQN) {
    throw new TypeError(`${field} has ${bytes.length} bytes; an NQN has 1 to ${LONGEST_NQN}`)
  }
  out.set(bytes, at)
}

function uuidBytes(text: string): Uint8Array {
  const digits = text.replaceAll('-', '')
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) throw new TypeError(`hostId is ${text}; it must be a UUID`)
  return Buffer.from(digits, 'hex')
}
