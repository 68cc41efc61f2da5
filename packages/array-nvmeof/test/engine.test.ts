import type { Host } from '@blockbraid/core'
import { systemClock } from '@blockbraid/core'
import type { InputSlab, OutboxSocket, Wire } from '@blockbraid/wire'
import { InputPool, letGo, Outbox, OutboxPool } from '@blockbraid/wire'
import { beforeAll, describe, expect, it } from 'vitest'
import { Faults } from '../src/faults/faults.ts'
import { placeOf } from '../src/namespace/namespaces.ts'
import { resolveOptions } from '../src/options/settings.ts'
import { Connection } from '../src/queue/connection.ts'
import { Services } from '../src/services.ts'
import { HeldDevice, VOLUME } from './beds.ts'
import { connectData, SUBSYSTEM } from './host.ts'

// Connections without sockets: every byte that comes in is in the test's hands.

const settings = resolveOptions({ name: SUBSYSTEM })
const host: Host = { clock: systemClock, random: Math.random }
const inputs = new InputPool(4, 16 * 1024)
const outputs = new OutboxPool(4)

class Socket implements OutboxSocket {
  readonly writableLength = 0
  readonly destroyed = false
  readonly sent: Buffer[] = []
  cork(): void {}
  uncork(): void {}
  write(bytes: Uint8Array): boolean {
    this.sent.push(Buffer.from(bytes))
    return true
  }
}

interface Line {
  readonly wire: Wire
  readonly socket: Socket
  readonly over: () => boolean
  /** Gives it bytes, in memory that is used again when nobody holds it. */
  feed(bytes: Buffer): void
  /** What it has sent since. */
  take(): Buffer
}

const device = new HeldDevice()
device.status = 0
const faults = new Faults(host, 1, () => {})
const services: Services = new Services(settings, host, faults, () => [])
services.namespaces.map({ volume: VOLUME, device }, placeOf({ volume: VOLUME, device }, 'x', 0, 1))
const port = { number: 0, serves: 'both', forget() {} } as never

function dial(): Line {
  const socket = new Socket()
  let over = false
  let slab: InputSlab
  const end = (): void => {
    over = true
    wire.sink = null
  }
  const wire: Wire = {
    outbox: new Outbox(socket, outputs, systemClock),
    sink: null,
    retain() {},
    hold() {
      slab.users++
      return slab
    },
    pause() {},
    resume() {},
    end,
    destroy: end,
    reset: end,
  }
  new Connection(services.connectionHost(port), wire)
  return {
    wire,
    socket,
    over: () => over,
    feed(bytes) {
      slab = inputs.take()
      bytes.copy(slab.bytes)
      wire.sink?.bytes(slab.bytes, 0, bytes.length)
      letGo(slab)
      wire.outbox.flush()
    },
    take() {
      wire.outbox.flush()
      return Buffer.concat(socket.sent.splice(0))
    },
  }
}

function capsule(sqe: Buffer, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.from([4, 0, 72, data.length > 0 ? 72 : 0, 0, 0, 0, 0])
  header.writeUInt32LE(72 + data.length, 4)
  return Buffer.concat([header, sqe, data])
}

function entry(opcode: number, cid: number, length: number, inCapsule: boolean, change: (sqe: Buffer) => void): Buffer {
  const sqe = Buffer.alloc(64)
  sqe.set([opcode, 0x40])
  sqe.writeUInt16LE(cid, 2)
  sqe.writeUInt32LE(length, 32)
  sqe[39] = inCapsule ? 1 : 0x5a
  change(sqe)
  return sqe
}

const icReq = Buffer.alloc(128)
icReq[2] = 128
icReq.writeUInt32LE(128, 4)

function connect(qid: number, controllerId: number): Buffer {
  const sqe = entry(0x7f, 1, 1024, true, (one) => {
    one[4] = 1
    one.writeUInt16LE(qid, 42)
    one.writeUInt16LE(31, 44)
    one[46] = 4
  })
  return capsule(sqe, connectData({ controllerId }))
}

/** Lets promises that are settled go on. */
async function turn(): Promise<void> {
  for (let n = 0; n < 12; n++) await Promise.resolve()
}

const rw = (opcode: number, cid: number, blocks: number, inCapsule: boolean): Buffer =>
  entry(opcode, cid, blocks * 512, inCapsule, (one) => {
    one.writeUInt32LE(1, 4)
    one.writeUInt32LE(blocks - 1, 48)
  })
const write = capsule(rw(1, 2, 1, true), Buffer.alloc(512, 7))
const read = capsule(rw(2, 3, 1, false))
const flush = capsule(entry(0, 4, 0, false, (one) => one.writeUInt32LE(1, 4)))
const commands = Buffer.concat([write, read, flush])

let controllerId = 0

beforeAll(async () => {
  const admin = dial()
  admin.feed(icReq)
  admin.feed(connect(0, 0xffff))
  await turn()
  await new Promise((resolve) => setTimeout(resolve, 20))
  controllerId = admin.take().readUInt16LE(128 + 8)
  admin.feed(
    capsule(
      entry(0x7f, 2, 0, false, (one) => {
        one.writeUInt32LE(0x14, 44)
        one.writeUInt32LE(0x0046_0001, 48)
      }),
    ),
  )
  await turn()
})

async function queue(first: readonly Buffer[]): Promise<Line> {
  const line = dial()
  for (const bytes of first) line.feed(bytes)
  await turn()
  return line
}

const opening = (): Buffer => Buffer.concat([icReq, connect(1, controllerId)])

describe('a connection', () => {
  it('does the same wherever its first bytes are cut', async () => {
    const line = await queue([opening()])
    const wanted = line.take()
    expect([wanted.length, wanted[128]]).toEqual([152, 5])
    line.wire.sink!.closed(undefined)
    for (let at = 1; at < opening().length; at++) {
      const other = await queue([opening().subarray(0, at), opening().subarray(at)])
      expect(other.take().equals(wanted)).toBe(true)
      other.wire.sink!.closed(undefined)
    }
  })

  it('does the same wherever its commands are cut', async () => {
    const answersOf = async (pieces: readonly Buffer[]): Promise<string> => {
      const line = await queue([opening()])
      line.take()
      for (const piece of pieces) line.feed(piece)
      await turn()
      const answers = line.take().toString('hex')
      line.wire.sink!.closed(undefined)
      return answers
    }
    const wanted = await answersOf([commands])
    expect(wanted.length).toBe(2 * (24 + 536 + 24))
    for (let at = 1; at < commands.length; at++) {
      expect(await answersOf([commands.subarray(0, at), commands.subarray(at)])).toBe(wanted)
    }
    expect(services.records.violations).toEqual([])
  })

  it('survives damaged bytes, holds nothing, and serves the next', async () => {
    let seed = 4711
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return (seed >>> 8) % below
    }
    const before = inputs.outstanding
    for (let run = 0; run < 3000; run++) {
      const line = await queue([opening()])
      line.take()
      const bytes = Buffer.concat([commands, capsule(rw(1, 9, 64, false)), commands])
      for (let flips = 1 + random(6); flips > 0; flips--) bytes[random(bytes.length)] = random(256)
      const cut = random(bytes.length)
      line.feed(bytes.subarray(0, cut))
      line.feed(bytes.subarray(cut))
      await turn()
      line.wire.sink?.closed(undefined)
      await turn()
    }
    expect([before, inputs.outstanding]).toEqual([0, 0])
    const [controller] = services.live
    expect([services.live.size, controller!.links.size]).toEqual([1, 1])
    const line = await queue([opening()])
    line.take()
    line.feed(read)
    await turn()
    expect(line.take().length).toBe(536)
  })
})
