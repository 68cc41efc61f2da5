import { type BlockError, type Clock, systemHost } from '@blockbraid/core'
import { FakeWire } from '@blockbraid/wire'
import type { LoginResult } from '../../src/login/login.ts'
import { HEADER_LENGTH, NO_TAG, padding } from '../../src/pdu/opcode.ts'
import { PduParser } from '../../src/pdu/parser.ts'
import { Session } from '../../src/session/session.ts'

export const agreed: LoginResult = {
  tsih: 1,
  statSn: 1,
  cmdSn: 1,
  expCmdSn: 1,
  maxCmdSn: 64,
  headerDigest: false,
  dataDigest: false,
  immediateData: true,
  initialR2T: false,
  firstBurstLength: 4096,
  maxBurstLength: 8192,
  maxSendSegment: 2048,
  maxOutstandingR2T: 1,
  time2Wait: 0,
  time2Retain: 0,
  targetPortalGroupTag: 1,
  targetAlias: undefined,
}

/** A connection whose other end is the test. */
export class TestWire extends FakeWire {
  /** What was sent since the last call, as PDUs without digests. */
  sent(): { header: Buffer; data: Buffer }[] {
    const bytes = this.take()
    const pdus: { header: Buffer; data: Buffer }[] = []
    for (let at = 0; at < bytes.length; ) {
      const header = bytes.subarray(at, at + HEADER_LENGTH)
      const length = header.readUInt32BE(4) & 0xff_ffff
      pdus.push({ header, data: bytes.subarray(at + HEADER_LENGTH, at + HEADER_LENGTH + length) })
      at += HEADER_LENGTH + length + padding(length)
    }
    return pdus
  }
}

/** A session on a {@link TestWire}, and the error that it was lost with. */
export function fakeSession(changes: Partial<LoginResult> = {}, clock: Clock = systemHost.clock) {
  const wire = new TestWire(clock)
  const nobody = { header: () => 0 as const, data() {}, end() {}, whole() {}, broken() {} }
  const parser = new PduParser(nobody, 8192)
  const session = new Session(
    wire,
    parser,
    { ...agreed, ...changes },
    { clock, keepAlive: { interval: 0, timeout: 1 }, taskTimeout: 1000, maxRecvDataSegmentLength: 8192 },
  )
  parser.sink = session
  const state = { lost: undefined as BlockError | undefined }
  session.listeners.add({ lost: (error) => (state.lost = error), event() {} })
  return { wire, session, state }
}

/** Fields of a target's PDU, at their places. */
export interface Fields {
  opcode: number
  flags?: number
  response?: number
  status?: number
  tag?: number
  transferTag?: number
  statSn?: number
  expCmdSn?: number
  maxCmdSn?: number
  word36?: number
  word40?: number
  word44?: number
  data?: Uint8Array
}

/** A target's PDU, padded, without digests. */
export function pdu(fields: Fields): Buffer {
  const { data = new Uint8Array(0) } = fields
  const bytes = Buffer.alloc(HEADER_LENGTH + data.length + padding(data.length))
  bytes[0] = fields.opcode
  bytes[1] = fields.flags ?? 0x80
  bytes[2] = fields.response ?? 0
  bytes[3] = fields.status ?? 0
  bytes.writeUInt32BE(data.length, 4)
  bytes.writeUInt32BE(fields.tag ?? NO_TAG, 16)
  bytes.writeUInt32BE(fields.transferTag ?? NO_TAG, 20)
  bytes.writeUInt32BE(fields.statSn ?? 1, 24)
  bytes.writeUInt32BE(fields.expCmdSn ?? 1, 28)
  bytes.writeUInt32BE(fields.maxCmdSn ?? 64, 32)
  bytes.writeUInt32BE(fields.word36 ?? 0, 36)
  bytes.writeUInt32BE(fields.word40 ?? 0, 40)
  bytes.writeUInt32BE(fields.word44 ?? 0, 44)
  bytes.set(data, HEADER_LENGTH)
  return bytes
}

/** Lets what was put off to the end of this turn happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
