import type { BlockError } from '@blockbraid/core'
import { createVirtualClock, type VirtualClock } from '@blockbraid/testkit'
import { createFakeWires, type Endpoint, type FakeWire, type Wire } from '@blockbraid/wire'
import type { Association } from '../../src/association/association.ts'
import { type OpenOptions, openAssociation } from '../../src/association/open.ts'
import type { Place } from '../../src/place/place.ts'
import { portalOf } from '../../src/place/portal.ts'
import { dataIn, icResp, r2t, response } from './controller-pdus.ts'
import { type HostPdu, hostPdus } from './host-pdus.ts'

export const place: Place = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:7b7e2f6c-0d0c-4a09-9a30-3f0c3f1d5a01',
  hostId: '7b7e2f6c-0d0c-4a09-9a30-3f0c3f1d5a01',
  subNqn: 'nqn.2026-11.io.blockbraid:test',
  portal: portalOf('array', 4420),
}

/** A command that has come, with its data. */
export interface Got {
  readonly connection: Connection
  readonly opcode: number
  readonly cid: number
  /** Dwords of the entry. */
  readonly dword: (index: number) => number
  /** Bytes that it moves. */
  readonly length: number
  readonly data: Buffer
}

/** One connection of a {@link TestController}. */
export class Connection {
  readonly wire: FakeWire
  readonly index: number
  /** What it was connected as. */
  queue = -1
  /** Nothing is answered. */
  mute = false
  /** Whether the host has ended it by RST. */
  wasReset = false
  readonly #controller: TestController
  readonly #writes = new Map<number, { readonly pdu: HostPdu; readonly data: Buffer; at: number }>()
  #bytes: Buffer = Buffer.alloc(0)
  /** Whether a termination request came. */
  terminated = false

  constructor(controller: TestController, wire: FakeWire, index: number) {
    this.#controller = controller
    this.wire = wire
    this.index = index
    wire.sink = {
      bytes: (chunk, start, end) => this.#take(chunk.subarray(start, end)),
      finished: () => wire.end(),
      closed: (error) => {
        this.wasReset = error !== undefined
      },
    }
  }

  say(...bytes: readonly Buffer[]): void {
    if (!this.mute) for (const each of bytes) this.wire.outbox.attach(each)
  }

  answer(got: Pick<Got, 'cid'>, fields: { status?: number; result?: number; resultHigh?: number } = {}): void {
    this.say(response({ cid: got.cid, ...fields }))
  }

  /** Data, and with it success. */
  give(got: Got, data: Buffer): void {
    const most = data.subarray(0, got.length)
    this.say(dataIn({ cid: got.cid, flags: most.length === got.length ? 12 : 4 }, most))
    if (most.length < got.length) this.answer(got)
  }

  #take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    while (this.#bytes.length >= 8 && this.#bytes.length >= this.#bytes.readUInt32LE(4)) {
      const length = this.#bytes.readUInt32LE(4)
      const [pdu] = hostPdus(Buffer.from(this.#bytes.subarray(0, length)))
      this.#bytes = this.#bytes.subarray(length)
      this.#pdu(pdu as HostPdu)
    }
  }

  #pdu(pdu: HostPdu): void {
    if (pdu.type === 0) return this.say(this.#controller.script.icResp ?? icResp())
    if (pdu.type === 2) this.terminated = true
    if (pdu.type === 4) this.#capsule(pdu)
    if (pdu.type !== 6) return
    const write = this.#writes.get(pdu.cid)
    if (write === undefined) return
    pdu.data.copy(write.data, pdu.header.readUInt32LE(12))
    write.at += pdu.data.length
    if (write.at < write.data.length) return
    this.#writes.delete(pdu.cid)
    this.#command(write.pdu, write.data)
  }

  #capsule(pdu: HostPdu): void {
    const length = pdu.sqe.readUInt32LE(32)
    const writes = pdu.sqe[0] === 0x7f ? (pdu.sqe[4] as number) % 2 === 1 : (pdu.sqe[0] as number) % 4 === 1
    if (!writes || length === 0 || pdu.sqe[39] !== 0x5a) return this.#command(pdu, pdu.data)
    this.#writes.set(pdu.cid, { pdu, data: Buffer.alloc(length), at: 0 })
    this.say(r2t({ cid: pdu.cid, length }))
  }

  #command({ sqe, cid }: HostPdu, data: Buffer): void {
    const got: Got = {
      connection: this,
      opcode: sqe[0] as number,
      cid,
      dword: (index) => sqe.readUInt32LE(4 * index),
      length: sqe.readUInt32LE(32),
      data,
    }
    this.#controller.take(got)
  }
}

/** What a {@link TestController} does otherwise than it should. */
export interface Script {
  icResp?: Buffer
  /** Returns whether it has answered, or will. */
  command?(got: Got): boolean
}

const BLOCK = 512

/** A controller that does what a script says, on fake wires, and else what a controller should. */
export class TestController {
  readonly script: Script = {}
  readonly connections: Connection[] = []
  readonly volume = Buffer.alloc(1024 * BLOCK)
  readonly identify = identifyController()
  /** Each command that came: its queue and opcode. */
  readonly log: { readonly queue: number; readonly opcode: number }[] = []
  /** Asynchronous event requests that wait. */
  readonly events: Got[] = []
  enabled = false
  shutDown = false
  keepAliveTimeout = 0
  queues = 16
  anaLog = Buffer.alloc(16)
  /** Tries to connect that are refused. */
  refuse = false

  readonly #clock: VirtualClock

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  readonly openWire = (_: Endpoint): Promise<Wire> => {
    if (this.refuse) return new Promise(() => {})
    const [host, controller] = createFakeWires(this.#clock)
    this.connections.push(new Connection(this, controller, this.connections.length))
    return Promise.resolve(host)
  }

  /** Tells of an event. */
  event(result: number): void {
    const request = this.events.shift()
    if (request === undefined) throw new Error('nobody asks for events')
    request.connection.answer(request, { result })
  }

  take(got: Got): void {
    const { connection, opcode } = got
    this.log.push({ queue: connection.queue, opcode })
    if (this.script.command?.(got) === true) return
    if (opcode === 0x7f) this.#fabrics(got)
    else if (connection.queue === 0) this.#admin(got)
    else this.#io(got)
  }

  #fabrics(got: Got): void {
    const { connection } = got
    const offset = got.dword(11)
    switch (got.dword(1) & 0xff) {
      case 0x01:
        connection.queue = got.dword(10) >>> 16
        if (connection.queue === 0) this.keepAliveTimeout = got.dword(12)
        return connection.answer(got, { result: 1 })
      case 0x04:
        if (offset === 0) return connection.answer(got, { result: (2 << 24) | 127, resultHigh: 1 << 5 })
        if (offset === 8) return connection.answer(got, { result: 0x2_0100 })
        if (offset === 0x1c) {
          return connection.answer(got, { result: (this.enabled ? 1 : 0) | (this.shutDown ? 8 : 0) })
        }
        return connection.answer(got)
      default:
        this.enabled = (got.dword(12) & 1) !== 0
        this.shutDown = (got.dword(12) & 0x4000) !== 0
        return connection.answer(got)
    }
  }

  #admin(got: Got): void {
    const { connection } = got
    switch (got.opcode) {
      case 0x06:
        return connection.give(got, this.identify)
      case 0x09:
        return connection.answer(got, { result: (this.queues - 1) * 0x1_0001 })
      case 0x0a:
        return connection.answer(got, { result: this.keepAliveTimeout })
      case 0x0c:
        this.events.push(got)
        return
      case 0x02:
        return connection.give(got, Buffer.concat([this.anaLog, Buffer.alloc(got.length)]).subarray(0, got.length))
      default:
        return connection.answer(got)
    }
  }

  #io(got: Got): void {
    const { connection } = got
    const at = got.dword(10) * BLOCK
    if (got.opcode === 2) return connection.give(got, Buffer.from(this.volume.subarray(at, at + got.length)))
    if (got.opcode === 1) got.data.copy(this.volume, at)
    connection.answer(got)
  }
}

/** Identify Controller of something that does all that it should. */
export function identifyController(): Buffer {
  const bytes = Buffer.alloc(4096)
  bytes.write('serial'.padEnd(20), 4)
  bytes.write('model'.padEnd(40), 24)
  bytes.write('1.0'.padEnd(8), 64)
  bytes[76] = 0x0b
  bytes.writeUInt16LE(1, 78)
  bytes.writeUInt32LE(0x2_0100, 80)
  bytes.writeUInt32LE(0x900, 92)
  bytes[111] = 1
  bytes[259] = 3
  bytes[261] = 4
  bytes.writeUInt16LE(1, 320)
  bytes.writeUInt16LE(300, 386)
  bytes.writeUInt16LE(64, 514)
  bytes.writeUInt32LE(8, 516)
  bytes.write(place.subNqn, 768)
  bytes.writeUInt32LE((64 + 8192) / 16, 1792)
  bytes.writeUInt32LE(1, 1796)
  return bytes
}

export const options = {
  place,
  queues: 1,
  queueDepth: 16,
  headerDigest: false,
  dataDigest: false,
  keepAliveTimeout: 5000,
  connectTimeout: 5000,
  commandTimeout: 3000,
} as const

/** A controller in virtual time, and what opens an association with it. */
export function testBed(): {
  readonly clock: VirtualClock
  readonly controller: TestController
  /** Begins to connect; time does not move by itself. */
  begin(changes?: Partial<OpenOptions>, signal?: AbortSignal): Promise<Association>
  /** Connects. */
  open(changes?: Partial<OpenOptions>): Promise<Association>
} {
  const clock = createVirtualClock()
  const controller = new TestController(clock)
  const begin = (changes: Partial<OpenOptions> = {}, signal?: AbortSignal): Promise<Association> =>
    openAssociation(
      { ...options, clock, openWire: controller.openWire, ...changes },
      signal === undefined ? {} : { signal },
    )
  return { clock, controller, begin, open: (changes) => clock.runUntil(begin(changes)) }
}

/** What an association was lost with. */
export function watchLoss(association: Association): { error: BlockError | undefined } {
  const loss = { error: undefined as BlockError | undefined }
  association.listeners.add({
    lost(error) {
      loss.error = error
    },
  })
  return loss
}
