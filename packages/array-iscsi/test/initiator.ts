import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect } from 'node:net'

// Knows nothing of the array's code, so that a mistake there is not made here again.

/** One PDU from the array. */
export interface Pdu {
  readonly opcode: number
  readonly flags: number
  readonly bhs: Buffer
  readonly data: Buffer
  readonly tag: number
}

/** How a command ended. */
export interface Answer {
  readonly status: number
  /** Sense key << 16 | ASC << 8 | ASCQ; 0 without sense data. */
  readonly sense: number
  /** Response code of the sense data. */
  readonly senseFormat: number
  readonly data: Buffer
  /** Negative: underflow; positive: overflow. */
  readonly residual: number
  /** Everything that came for it. */
  readonly pdus: readonly Pdu[]
}

export interface LoginOptions {
  host?: string
  port: number
  name?: string
  target?: string
  discovery?: boolean
  isid?: string
  keys?: Record<string, string>
  /** Leave these out of what is sent. */
  without?: readonly string[]
  /** Bytes of text in one Login Request. */
  segment?: number
  /** Number of the first command. */
  cmdSn?: number
  chap?: {
    user: string
    secret: string
    algorithms: string
    mutual?: { user: string; secret: string; reflect?: boolean }
  }
}

export interface CommandOptions {
  lun?: number
  /** Bytes expected from the array. */
  read?: number
  /** Data for the array. */
  write?: Buffer
  /** Expected data transfer length, where it is not the length of `write` or `read`. */
  expected?: number
  immediate?: boolean
  /** Task attribute. @defaultValue 1, simple; 2 is ordered */
  attribute?: number
}

const KEYS: Record<string, string> = {
  HeaderDigest: 'None',
  DataDigest: 'None',
  InitialR2T: 'No',
  ImmediateData: 'Yes',
  MaxRecvDataSegmentLength: '262144',
  MaxBurstLength: '262144',
  FirstBurstLength: '65536',
  MaxOutstandingR2T: '1',
  ErrorRecoveryLevel: '0',
}
export const TARGET = 'iqn.2026-11.io.blockbraid:test'
export const INITIATOR = 'iqn.2026-11.io.blockbraid:host'

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

export function textOf(pairs: Record<string, string>): Buffer {
  return Buffer.from(
    Object.entries(pairs)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  )
}

export function pairsOf(text: Buffer): Record<string, string> {
  const lines = text.toString().split('\0').filter(Boolean)
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

/** A LUN field: peripheral, flat or extended flat. */
export function lunField(lun: number): Buffer {
  const field = Buffer.alloc(8)
  if (lun < 256) field[1] = lun
  else if (lun < 16_384) field.writeUInt16BE(0x4000 | lun)
  else field.writeUInt32BE(0xd200_0000 + lun)
  return field
}

/** The array said no. */
export class LoginRefused extends Error {
  readonly status: number
  readonly keys: Record<string, string>
  constructor(status: number, keys: Record<string, string>) {
    super(`login refused: 0x${status.toString(16).padStart(4, '0')}`)
    this.status = status
    this.keys = keys
  }
}

/** An initiator that does as it is told. */
export class RawInitiator {
  readonly socket: Socket
  /** Every PDU that came and was not waited for yet. */
  readonly inbox: Pdu[] = []
  /** Keys that the array has answered with. */
  keys: Record<string, string> = {}
  isid: Buffer
  tsih = 0
  cmdSn = 1
  expStatSn = 0
  maxCmdSn = 0
  headerDigest = false
  dataDigest = false
  closed = false
  /** Digests that were wrong. */
  wrongDigests = 0
  #tag = 1
  #bytes: Buffer = Buffer.alloc(0)
  #wake: (() => void)[] = []

  private constructor(socket: Socket, isid: string) {
    this.socket = socket
    this.isid = Buffer.from(isid, 'hex')
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#stir()
    })
  }

  /** Connects and says nothing. */
  static async dial(port: number, host = '127.0.0.1', isid = '400000000001'): Promise<RawInitiator> {
    const socket = connect({ port, host })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', reject)
    })
    socket.setNoDelay(true)
    return new RawInitiator(socket, isid)
  }

  /** Connects and logs in; throws {@link LoginRefused}. */
  static async login(options: LoginOptions): Promise<RawInitiator> {
    const initiator = await RawInitiator.dial(options.port, options.host, options.isid)
    initiator.cmdSn = options.cmdSn ?? 1
    await initiator.logIn(options)
    return initiator
  }

  async logIn(options: LoginOptions): Promise<void> {
    const { name = INITIATOR, target = TARGET, discovery = false, chap, without = [] } = options
    const first: Record<string, string> = { InitiatorName: name, SessionType: discovery ? 'Discovery' : 'Normal' }
    if (!discovery) first['TargetName'] = target
    const keys = Object.fromEntries(
      Object.entries({ ...KEYS, ...options.keys }).filter(([key]) => !without.includes(key)),
    )
    if (chap === undefined) await this.#negotiate({ ...first, ...keys }, 1, 3, options.segment)
    else {
      await this.#negotiate({ ...first, AuthMethod: 'CHAP,None' }, 0, 0, options.segment)
      if (this.keys['AuthMethod'] === 'CHAP') await this.#prove(chap)
      else await this.#negotiate({}, 0, 1)
      await this.#negotiate(keys, 1, 3, options.segment)
    }
    this.headerDigest = this.keys['HeaderDigest'] === 'CRC32C'
    this.dataDigest = this.keys['DataDigest'] === 'CRC32C'
  }

  async #prove(chap: NonNullable<LoginOptions['chap']>): Promise<void> {
    await this.#negotiate({ CHAP_A: chap.algorithms }, 0, 0)
    const algorithm = { 5: 'md5', 6: 'sha1', 7: 'sha256', 8: 'sha3-256' }[this.keys['CHAP_A'] ?? ''] ?? 'md5'
    const hash = (id: number, secret: string, challenge: Buffer): string =>
      createHash(algorithm)
        .update(Buffer.from([id]))
        .update(secret)
        .update(challenge)
        .digest('hex')
    const challenge = Buffer.from(this.keys['CHAP_C']!.slice(2), 'hex')
    const response = hash(Number(this.keys['CHAP_I']), chap.secret, challenge)
    const answer: Record<string, string> = { CHAP_N: chap.user, CHAP_R: `0x${response}` }
    const own = chap.mutual?.reflect === true ? challenge : randomBytes(16)
    if (chap.mutual !== undefined) Object.assign(answer, { CHAP_I: '7', CHAP_C: `0b${own.toString('base64')}` })
    await this.#negotiate(answer, 0, 1)
    if (chap.mutual === undefined) return
    const right =
      this.keys['CHAP_N'] === chap.mutual.user && this.keys['CHAP_R'] === `0x${hash(7, chap.mutual.secret, own)}`
    if (!right) throw new Error('the array did not prove itself')
  }

  // Sends keys in a stage until the array moves to `next`; 0 as `next` asks for no move.
  async #negotiate(pairs: Record<string, string>, stage: number, next: number, segment = 8192): Promise<void> {
    let text = textOf(pairs)
    let answered: Buffer = Buffer.alloc(0)
    for (let turns = 0; turns < 100; turns++) {
      const part = text.subarray(0, segment)
      text = text.subarray(part.length)
      const more = text.length > 0
      const transit = !more && next > 0
      this.loginRequest(part, (more ? 0x40 : 0) | (transit ? 0x80 : 0) | (stage << 2) | (transit ? next : 0))
      const pdu = await this.next()
      if (pdu.opcode !== 0x23) throw new Error(`opcode ${pdu.opcode} during the login`)
      const status = pdu.bhs.readUInt16BE(36)
      if (status !== 0) throw new LoginRefused(status, pairsOf(pdu.data))
      answered = Buffer.concat([answered, pdu.data])
      if ((pdu.flags & 0x40) !== 0 || more) continue
      const keys = pairsOf(answered)
      answered = Buffer.alloc(0)
      Object.assign(this.keys, keys)
      this.tsih = pdu.bhs.readUInt16BE(14)
      if ((pdu.flags & 0x80) !== 0 || next === 0) return
      // What the array has offered by itself is taken as it is.
      const offered = Object.entries(keys).filter(([key]) => !(key in pairs) && !/^(Target|MaxRecv|CHAP)/.test(key))
      text = textOf(Object.fromEntries(offered))
    }
    throw new Error('the login does not end')
  }

  loginRequest(text: Buffer, flags: number): void {
    const bhs = Buffer.alloc(48)
    bhs[0] = 0x43
    bhs[1] = flags
    this.isid.copy(bhs, 8)
    bhs.writeUInt16BE(this.tsih, 14)
    bhs.writeUInt32BE(this.cmdSn, 24)
    bhs.writeUInt32BE(this.expStatSn, 28)
    this.send(bhs, text)
  }

  /** Sends a PDU; its data length, padding and digests are put right. */
  send(bhs: Buffer, data: Buffer = Buffer.alloc(0)): void {
    this.socket.write(this.encode(bhs, data))
  }

  encode(bhs: Buffer, data: Buffer = Buffer.alloc(0)): Buffer {
    bhs.writeUIntBE(data.length, 5, 3)
    const parts = [bhs]
    if (this.headerDigest) parts.push(digestOf(bhs))
    const padded = Buffer.concat([data, Buffer.alloc(-data.length & 3)])
    if (data.length > 0) parts.push(padded)
    if (data.length > 0 && this.dataDigest) parts.push(digestOf(padded))
    return Buffer.concat(parts)
  }

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

  /** Header of a request with a tag of its own. */
  request(opcode: number, flags: number, lun = 0, immediate = false): Buffer {
    const bhs = Buffer.alloc(48)
    bhs[0] = opcode | (immediate ? 0x40 : 0)
    bhs[1] = flags
    lunField(lun).copy(bhs, 8)
    bhs.writeUInt32BE(this.#tag++, 16)
    bhs.writeUInt32BE(this.cmdSn, 24)
    bhs.writeUInt32BE(this.expStatSn, 28)
    if (!immediate) this.cmdSn = (this.cmdSn + 1) >>> 0
    return bhs
  }

  /** Header of a SCSI command. */
  commandHeader(cdb: Buffer, options: CommandOptions = {}): Buffer {
    const { lun, read, write, immediate, attribute = 1, expected = write?.length ?? read ?? 0 } = options
    const flags = 0x80 | (read === undefined ? 0 : 0x40) | (write === undefined ? 0 : 0x20) | attribute
    const bhs = this.request(0x01, flags, lun, immediate)
    bhs.writeUInt32BE(expected, 20)
    cdb.copy(bhs, 32)
    return bhs
  }

  /** Runs a command to its end, as was agreed on at login. */
  async command(cdb: Buffer, options: CommandOptions = {}): Promise<Answer> {
    return this.finish(this.begin(cdb, options), options.write)
  }

  /** Sends a command with what goes without being asked for; returns its tag. */
  begin(cdb: Buffer, options: CommandOptions = {}): number {
    const { write } = options
    const bhs = this.commandHeader(cdb, options)
    const tag = bhs.readUInt32BE(16)
    if (write === undefined) {
      this.send(bhs)
      return tag
    }
    const first = Math.min(Number(this.keys['FirstBurstLength']), write.length)
    const segment = Number(this.keys['MaxRecvDataSegmentLength'])
    const now = this.keys['ImmediateData'] === 'Yes' ? Math.min(segment, first) : 0
    const unsolicited = this.keys['InitialR2T'] === 'No' && now < first
    if (unsolicited) bhs[1]! &= 0x7f
    this.send(bhs, write.subarray(0, now))
    if (unsolicited) this.dataOut(tag, 0xffff_ffff, write, now, first)
    return tag
  }

  /** Waits for the end of a command, and sends what it is asked for. */
  async finish(tag: number, write?: Buffer): Promise<Answer> {
    const pdus: Pdu[] = []
    const data: Buffer[] = []
    for (;;) {
      const pdu = await this.next((one) => one.tag === tag)
      pdus.push(pdu)
      if (pdu.opcode === 0x31) {
        const offset = pdu.bhs.readUInt32BE(40)
        this.dataOut(tag, pdu.bhs.readUInt32BE(20), write!, offset, offset + pdu.bhs.readUInt32BE(44))
        continue
      }
      if (pdu.opcode === 0x25) data.push(pdu.data)
      if (pdu.opcode === 0x25 && (pdu.flags & 1) === 0) continue
      const residual = pdu.bhs.readUInt32BE(44)
      const sense = pdu.opcode === 0x21 && pdu.data.length > 2 ? pdu.data.subarray(2) : Buffer.alloc(0)
      return {
        status: pdu.bhs[3]!,
        ...decodeSense(sense),
        data: Buffer.concat(data),
        residual: (pdu.flags & 4) !== 0 ? residual : (pdu.flags & 2) !== 0 ? -residual : 0,
        pdus,
      }
    }
  }

  /** Sends data from `from` to `to` as one sequence. */
  dataOut(tag: number, transferTag: number, data: Buffer, from: number, to: number): void {
    const segment = Number(this.keys['MaxRecvDataSegmentLength'])
    for (let at = from, dataSn = 0; at < to; dataSn++) {
      const end = Math.min(at + segment, to)
      this.send(this.dataOutHeader(tag, transferTag, at, dataSn, end === to), data.subarray(at, end))
      at = end
    }
  }

  dataOutHeader(tag: number, transferTag: number, offset: number, dataSn: number, final: boolean): Buffer {
    const bhs = Buffer.alloc(48)
    bhs[0] = 0x05
    bhs[1] = final ? 0x80 : 0
    bhs.writeUInt32BE(tag, 16)
    bhs.writeUInt32BE(transferTag, 20)
    bhs.writeUInt32BE(this.expStatSn, 28)
    bhs.writeUInt32BE(dataSn, 36)
    bhs.writeUInt32BE(offset, 40)
    return bhs
  }

  /** Sends a task management request, immediate; resolves to its response. */
  async manage(action: number, referenced = 0xffff_ffff, lun = 0): Promise<number> {
    const bhs = this.request(0x02, 0x80 | action, lun, true)
    bhs.writeUInt32BE(referenced, 20)
    this.send(bhs)
    const pdu = await this.next((one) => one.opcode === 0x22 && one.tag === bhs.readUInt32BE(16))
    return pdu.bhs[2]!
  }

  /** Sends a text request and gathers the whole answer. */
  async text(pairs: Record<string, string>): Promise<{ text: string; pdus: number }> {
    let transferTag = 0xffff_ffff
    let data = textOf(pairs)
    const parts: Buffer[] = []
    for (;;) {
      const bhs = this.request(0x04, 0x80)
      bhs.writeUInt32BE(transferTag, 20)
      this.send(bhs, data)
      const pdu = await this.next((one) => one.opcode === 0x24)
      parts.push(pdu.data)
      if ((pdu.flags & 0x80) !== 0) return { text: Buffer.concat(parts).toString(), pdus: parts.length }
      transferTag = pdu.bhs.readUInt32BE(20)
      data = Buffer.alloc(0)
    }
  }

  async nop(data = Buffer.alloc(0), immediate = true): Promise<Pdu> {
    const bhs = this.request(0x00, 0x80, 0, immediate)
    bhs.writeUInt32BE(0xffff_ffff, 20)
    this.send(bhs, data)
    return this.next((one) => one.opcode === 0x20 && one.tag === bhs.readUInt32BE(16))
  }

  async logout(): Promise<number> {
    this.send(this.request(0x06, 0x80, 0, true))
    const pdu = await this.next((one) => one.opcode === 0x26)
    await this.gone()
    return pdu.bhs[2]!
  }

  /** Takes unit attentions off a unit until none is left. */
  async settle(lun = 0): Promise<void> {
    while ((await this.command(Buffer.alloc(6), { lun })).status === 2) {}
  }

  close(): void {
    this.socket.destroy()
  }

  #stir(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const bytes = this.#bytes
      const header = 48 + (this.headerDigest ? 4 : 0)
      if (bytes.length < 48) break
      const length = bytes.readUIntBE(5, 3)
      const padded = (length + 3) & ~3
      const total = header + padded + (this.dataDigest && length > 0 ? 4 : 0)
      if (bytes.length < total) break
      this.#bytes = bytes.subarray(total)
      const bhs = bytes.subarray(0, 48)
      if (this.headerDigest && bytes.readUInt32LE(48) !== crcOf(bhs)) this.wrongDigests++
      const body = bytes.subarray(header, header + padded)
      if (this.dataDigest && length > 0 && bytes.readUInt32LE(header + padded) !== crcOf(body)) this.wrongDigests++
      this.#note(bhs, body.subarray(0, length))
    }
    this.#stir()
  }

  #note(bhs: Buffer, data: Buffer): void {
    const opcode = bhs[0]! & 0x3f
    const flags = bhs[1]!
    const carriesStatus = opcode !== 0x31 && (opcode !== 0x25 || (flags & 1) === 1)
    const unasked = opcode === 0x20 && bhs.readUInt32BE(16) === 0xffff_ffff
    if (carriesStatus && !unasked) this.expStatSn = (bhs.readUInt32BE(24) + 1) >>> 0
    this.maxCmdSn = bhs.readUInt32BE(32)
    this.inbox.push({ opcode, flags, bhs, data, tag: bhs.readUInt32BE(16) })
  }
}

function decodeSense(sense: Buffer): { sense: number; senseFormat: number } {
  if (sense.length === 0) return { sense: 0, senseFormat: 0 }
  const senseFormat = sense[0]! & 0x7f
  if (senseFormat >= 0x72) return { sense: ((sense[1]! & 15) << 16) | (sense[2]! << 8) | sense[3]!, senseFormat }
  return { sense: ((sense[2]! & 15) << 16) | (sense[12]! << 8) | sense[13]!, senseFormat }
}

/** A CDB from hex digits, filled with zeroes to 16 bytes. */
export function cdb(hex: string): Buffer {
  return Buffer.concat([Buffer.from(hex.replaceAll(' ', ''), 'hex'), Buffer.alloc(16)]).subarray(0, 16)
}

export function read10(lba: number, blocks: number): Buffer {
  const bytes = cdb('28')
  bytes.writeUInt32BE(lba, 2)
  bytes.writeUInt16BE(blocks, 7)
  return bytes
}

export function write10(lba: number, blocks: number): Buffer {
  const bytes = read10(lba, blocks)
  bytes[0] = 0x2a
  return bytes
}

export function read16(lba: number, blocks: number): Buffer {
  const bytes = cdb('88')
  bytes.writeBigUInt64BE(BigInt(lba), 2)
  bytes.writeUInt32BE(blocks, 10)
  return bytes
}

export function write16(lba: number, blocks: number): Buffer {
  const bytes = read16(lba, blocks)
  bytes[0] = 0x8a
  return bytes
}
