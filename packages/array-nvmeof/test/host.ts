import type { Socket } from 'node:net'
import { connect } from 'node:net'

// Knows nothing of the array's code, so that a mistake there is not made here again.

export const SUBSYSTEM = 'nqn.2026-11.io.blockbraid:test'
export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001'
export const HOST_ID = '00000000000040008000000000000001'
export const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery'

/** One PDU from the array. */
export interface Pdu {
  readonly type: number
  readonly flags: number
  /** HLEN bytes. */
  readonly header: Buffer
  readonly data: Buffer
  /** Place of its data, and its length on the wire. */
  readonly pdo: number
  readonly plen: number
}

/** How a command ended. */
export interface Answer {
  /** SCT << 8 | SC. */
  readonly status: number
  readonly dnr: boolean
  readonly crd: number
  /** Dwords 0 and 1. */
  readonly result: number
  readonly resultHigh: number
  readonly sqHead: number
  readonly data: Buffer
  /** Whether data said that it succeeded, and no completion came. */
  readonly bySuccess: boolean
  /** Everything that came for it. */
  readonly pdus: readonly Pdu[]
}

export interface InitializeOptions {
  pfv?: number
  /** HPDA. */
  hpda?: number
  headerDigest?: boolean
  dataDigest?: boolean
  /** MAXR2T, as it stands in the PDU: one less than it means. */
  maxR2t?: number
}

export interface ConnectOptions {
  qid?: number
  entries?: number
  kato?: number
  hostNqn?: string
  hostId?: string
  subsystem?: string
  controllerId?: number
  /** CATTR. @defaultValue 4: no SQ flow control */
  attributes?: number
  format?: number
  /** The data in an R2T instead of the capsule. */
  solicited?: boolean
}

export interface CommandOptions {
  nsid?: number
  /** Dwords 10 to 15. */
  dwords?: readonly number[]
  /** Bytes to receive. */
  read?: number
  /** Data to send. */
  write?: Buffer
  /** Send it in the capsule, or let it be asked for. @defaultValue as large as `inCapsule` */
  capsule?: boolean
  cid?: number
  /** Changes the entry before it is sent. */
  change?: (sqe: Buffer) => void
}

/** CRC32C bit by bit. */
export function crcOf(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return ~crc >>> 0
}

function digestOf(bytes: Uint8Array): Buffer {
  const digest = Buffer.alloc(4)
  digest.writeUInt32LE(crcOf(bytes))
  return digest
}

/** A host that does as it is told: one connection, one queue. */
export class RawHost {
  readonly socket: Socket
  /** Every PDU that came and was not waited for yet. */
  readonly inbox: Pdu[] = []
  headerDigest = false
  dataDigest = false
  /** CPDA and MAXH2CDATA of the array. */
  cpda = 0
  maxH2CData = 4096
  inCapsule = 8192
  controllerId = 0xffff
  closed = false
  /** Whether it ended by RST. */
  wasReset = false
  /** Digests that were wrong. */
  wrongDigests = 0
  #cid = 1
  #bytes: Buffer = Buffer.alloc(0)
  #wake: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.wasReset = error.code === 'ECONNRESET'
    })
    socket.on('close', () => {
      this.closed = true
      this.#stir()
    })
  }

  /** Connects and says nothing. */
  static async dial(port: number, host = '127.0.0.1'): Promise<RawHost> {
    const socket = connect({ port, host })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', reject)
    })
    socket.setNoDelay(true)
    return new RawHost(socket)
  }

  // The transport

  /** Sends an ICReq, and takes the answer. */
  async initialize(options: InitializeOptions = {}): Promise<Pdu> {
    this.socket.write(this.icReq(options))
    const answer = await this.next((pdu) => pdu.type === 0x01 || pdu.type === 0x03)
    if (answer.type === 0x03) return answer
    this.cpda = answer.header[10]!
    this.headerDigest = (answer.header[11]! & 1) !== 0
    this.dataDigest = (answer.header[11]! & 2) !== 0
    this.maxH2CData = answer.header.readUInt32LE(12)
    return answer
  }

  icReq({ pfv = 0, hpda = 0, headerDigest = false, dataDigest = false, maxR2t = 0 }: InitializeOptions): Buffer {
    const pdu = Buffer.alloc(128)
    pdu.set([0x00, 0, 128, 0])
    pdu.writeUInt32LE(128, 4)
    pdu.writeUInt16LE(pfv, 8)
    pdu[10] = hpda
    pdu[11] = (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0)
    pdu.writeUInt32LE(maxR2t, 12)
    return pdu
  }

  /** A PDU: `header` has its type and what is behind byte 8; the rest is put right. */
  encode(header: Buffer, data: Buffer = Buffer.alloc(0)): Buffer {
    const size = header.length + (this.headerDigest ? 4 : 0)
    const step = 4 * (this.cpda + 1)
    const pdo = data.length === 0 ? 0 : Math.ceil(size / step) * step
    const digested = data.length > 0 && this.dataDigest
    header[1] = header[1]! | (this.headerDigest ? 1 : 0) | (digested ? 2 : 0)
    header[2] = header.length
    header[3] = pdo
    header.writeUInt32LE((data.length === 0 ? size : pdo + data.length) + (digested ? 4 : 0), 4)
    const parts = [header]
    if (this.headerDigest) parts.push(digestOf(header))
    if (data.length > 0) parts.push(Buffer.alloc(pdo - size), data)
    if (digested) parts.push(digestOf(data))
    return Buffer.concat(parts)
  }

  send(header: Buffer, data?: Buffer): void {
    this.socket.write(this.encode(header, data))
  }

  /** Sends a part of a command's data. */
  h2cData(cid: number, tag: number, offset: number, data: Buffer, last: boolean): void {
    const header = Buffer.alloc(24)
    header[0] = 0x06
    header[1] = last ? 4 : 0
    header.writeUInt16LE(cid, 8)
    header.writeUInt16LE(tag, 10)
    header.writeUInt32LE(offset, 12)
    header.writeUInt32LE(data.length, 16)
    this.send(header, data)
  }

  /** Sends what an R2T asks for. */
  serve(r2t: Pdu, data: Buffer): void {
    const [cid, tag] = [r2t.header.readUInt16LE(8), r2t.header.readUInt16LE(10)]
    const [from, length] = [r2t.header.readUInt32LE(12), r2t.header.readUInt32LE(16)]
    for (let at = 0; at < length; at += this.maxH2CData) {
      const size = Math.min(this.maxH2CData, length - at)
      this.h2cData(cid, tag, from + at, data.subarray(from + at, from + at + size), at + size === length)
    }
  }

  // Commands

  get lastCid(): number {
    return this.#cid
  }

  nextCid(): number {
    this.#cid = (this.#cid % 0xfff0) + 1
    return this.#cid
  }

  /** A submission queue entry, with its SGL. */
  entry(opcode: number, options: CommandOptions = {}): Buffer {
    const { nsid = 0, dwords = [], read, write, cid = this.nextCid() } = options
    const sqe = Buffer.alloc(64)
    sqe[0] = opcode
    sqe[1] = 0x40
    sqe.writeUInt16LE(cid, 2)
    sqe.writeUInt32LE(nsid, 4)
    const inCapsule = write !== undefined && (options.capsule ?? write.length <= this.inCapsule)
    sqe.writeUInt32LE(write?.length ?? read ?? 0, 32)
    sqe[39] = inCapsule ? 0x01 : 0x5a
    for (const [n, dword] of dwords.entries()) sqe.writeUInt32LE(dword >>> 0, 40 + 4 * n)
    options.change?.(sqe)
    return sqe
  }

  /** Sends a command; returns its CID. */
  begin(opcode: number, options: CommandOptions = {}): number {
    const sqe = this.entry(opcode, options)
    const { write } = options
    this.capsule(sqe, sqe[39] === 0x01 ? write : undefined)
    return sqe.readUInt16LE(2)
  }

  capsule(sqe: Buffer, data?: Buffer): void {
    this.send(Buffer.concat([Buffer.from([0x04, 0, 0, 0, 0, 0, 0, 0]), sqe]), data)
  }

  /** Runs a command to its end. */
  command(opcode: number, options: CommandOptions = {}): Promise<Answer> {
    return this.finish(this.begin(opcode, options), options.write)
  }

  /** Takes what comes for a command, and serves its R2Ts. */
  async finish(cid: number, write?: Buffer): Promise<Answer> {
    const pdus: Pdu[] = []
    const parts: Buffer[] = []
    for (;;) {
      const pdu = await this.next((one) => cidOf(one) === cid)
      pdus.push(pdu)
      if (pdu.type === 0x09) this.serve(pdu, write!)
      else if (pdu.type === 0x07) {
        parts.push(pdu.data)
        const success = (pdu.flags & 8) !== 0
        if (success) return { ...NOTHING, data: Buffer.concat(parts), bySuccess: true, pdus }
      } else {
        const status = pdu.header.readUInt16LE(22) >>> 1
        return {
          status: status & 0x7ff,
          crd: (status >>> 11) & 3,
          dnr: (status & 0x4000) !== 0,
          result: pdu.header.readUInt32LE(8),
          resultHigh: pdu.header.readUInt32LE(12),
          sqHead: pdu.header.readUInt16LE(16),
          data: Buffer.concat(parts),
          bySuccess: false,
          pdus,
        }
      }
    }
  }

  // Fabrics

  /** Connects a queue. */
  async connect(options: ConnectOptions = {}): Promise<Answer> {
    const { qid = 0, entries = qid === 0 ? 32 : 128, kato = 0, attributes = 4, format = 0, solicited = false } = options
    const write = connectData(options)
    const answer = await this.command(0x7f, {
      write,
      capsule: !solicited,
      change: (sqe) => {
        sqe[4] = 0x01
        sqe.writeUInt16LE(format, 40)
        sqe.writeUInt16LE(qid, 42)
        sqe.writeUInt16LE(entries - 1, 44)
        sqe[46] = attributes
        sqe.writeUInt32LE(kato, 48)
      },
    })
    if (answer.status === 0) this.controllerId = answer.result & 0xffff
    return answer
  }

  async getProperty(offset: number, wide = false): Promise<number> {
    const answer = await this.command(0x7f, {
      change: (sqe) => {
        sqe[4] = 0x04
        sqe[40] = wide ? 1 : 0
        sqe.writeUInt32LE(offset, 44)
      },
    })
    if (answer.status !== 0) throw new Error(`Property Get: ${answer.status.toString(16)}`)
    return wide ? answer.resultHigh * 2 ** 32 + answer.result : answer.result
  }

  setProperty(offset: number, value: number): Promise<Answer> {
    return this.command(0x7f, {
      change: (sqe) => {
        sqe[4] = 0x00
        sqe.writeUInt32LE(offset, 44)
        sqe.writeUInt32LE(value >>> 0, 48)
      },
    })
  }

  /** Sets CC.EN, and waits until CSTS says so. */
  async enable(): Promise<void> {
    await this.setProperty(0x14, 0x0046_0001)
    await this.status((csts) => (csts & 1) === 1)
  }

  /** Clears CC.EN, and waits until CSTS says so. */
  async disable(): Promise<void> {
    await this.setProperty(0x14, 0x0046_0000)
    await this.status((csts) => (csts & 1) === 0)
  }

  /** Reads CSTS until it fits. */
  async status(fits: (csts: number) => boolean): Promise<number> {
    for (;;) {
      const csts = await this.getProperty(0x1c)
      if (fits(csts)) return csts
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  identify(cns: number, nsid = 0, read = 4096): Promise<Answer> {
    return this.command(0x06, { nsid, dwords: [cns], read })
  }

  logPage(lid: number, length: number, { offset = 0, retain = false, specific = 0 } = {}): Promise<Answer> {
    const dwords = length / 4 - 1
    const first = lid | (specific << 8) | (retain ? 0x8000 : 0) | ((dwords & 0xffff) << 16)
    return this.command(0x02, { dwords: [first, dwords >>> 16, offset, 0], read: length })
  }

  getFeature(fid: number): Promise<Answer> {
    return this.command(0x0a, { dwords: [fid] })
  }

  setFeature(fid: number, value: number, write?: Buffer): Promise<Answer> {
    return this.command(0x09, { dwords: [fid, value], ...(write === undefined ? {} : { write }) })
  }

  // Blocks

  read(nsid: number, slba: number, blocks: number, blockSize = 512): Promise<Answer> {
    return this.command(0x02, { nsid, dwords: rangeOf(slba, blocks), read: blocks * blockSize })
  }

  write(
    nsid: number,
    slba: number,
    data: Buffer,
    options: { capsule?: boolean; fua?: boolean; blockSize?: number } = {},
  ) {
    return this.finish(this.beginWrite(nsid, slba, data, options), data)
  }

  /** Sends a write; returns its CID. */
  beginWrite(
    nsid: number,
    slba: number,
    data: Buffer,
    { capsule, fua = false, blockSize = 512 }: { capsule?: boolean; fua?: boolean; blockSize?: number } = {},
  ): number {
    const dwords = rangeOf(slba, data.length / blockSize)
    if (fua) dwords[2]! |= 0x4000_0000
    return this.begin(0x01, { nsid, dwords, write: data, ...(capsule === undefined ? {} : { capsule }) })
  }

  // What comes in

  /** The next PDU that `fits`. Rejects when the connection ends before. */
  async next(fits: (pdu: Pdu) => boolean = () => true): Promise<Pdu> {
    for (;;) {
      const at = this.inbox.findIndex(fits)
      if (at >= 0) return this.inbox.splice(at, 1)[0]!
      if (this.closed) throw new Error('the connection has ended')
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** Settles when the connection has ended. */
  async gone(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  close(): void {
    this.socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    while (this.#bytes.length >= 8) {
      const plen = this.#bytes.readUInt32LE(4)
      if (this.#bytes.length < plen) break
      this.inbox.push(this.#decode(this.#bytes.subarray(0, plen)))
      this.#bytes = this.#bytes.subarray(plen)
    }
    this.#stir()
  }

  #decode(bytes: Buffer): Pdu {
    const [type, flags, hlen, pdo] = [bytes[0]!, bytes[1]!, bytes[2]!, bytes[3]!]
    const header = Buffer.from(bytes.subarray(0, hlen))
    if ((flags & 1) !== 0 && bytes.readUInt32LE(hlen) !== crcOf(header)) this.wrongDigests++
    const digested = type === 0x07 && (flags & 2) !== 0
    const end = bytes.length - (digested ? 4 : 0)
    const data = Buffer.from(
      type === 0x03 ? bytes.subarray(hlen) : pdo === 0 ? bytes.subarray(0, 0) : bytes.subarray(pdo, end),
    )
    if (digested && bytes.readUInt32LE(end) !== crcOf(data)) this.wrongDigests++
    return { type, flags, header, data, pdo, plen: bytes.length }
  }

  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

const NOTHING = { status: 0, crd: 0, dnr: false, result: 0, resultHigh: 0, sqHead: 0xffff }

/** Data of Connect. */
export function connectData(options: ConnectOptions): Buffer {
  const { hostNqn = HOST, hostId = HOST_ID, subsystem = SUBSYSTEM, controllerId = 0xffff } = options
  const data = Buffer.alloc(1024)
  data.write(hostId, 0, 'hex')
  data.writeUInt16LE(controllerId, 16)
  data.write(subsystem, 256)
  data.write(hostNqn, 512)
  return data
}

function rangeOf(slba: number, blocks: number): number[] {
  return [slba % 2 ** 32, Math.floor(slba / 2 ** 32), blocks - 1, 0, 0, 0]
}

/** CID of a PDU from the array; -1: it has none. */
export function cidOf(pdu: Pdu): number {
  if (pdu.type === 0x05) return pdu.header.readUInt16LE(20)
  return pdu.type === 0x07 || pdu.type === 0x09 ? pdu.header.readUInt16LE(8) : -1
}
