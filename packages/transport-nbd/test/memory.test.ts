import { describe, expect, it } from 'vitest'
import { ServerMemory } from '../src/transmission/memory.ts'
import { manualHost } from './support/clock.ts'
import { RecordingDevice, TestDevice } from './support/device.ts'
import type { Bench } from './support/link.ts'
import { bench, Link } from './support/link.ts'
import { CLIENT_FLAGS, CMD, go, request, simple } from './support/wire.ts'

const MiB = 2 ** 20

/** A server whose clients share `bytes`, with room for `clients` of them. */
function crowded(device: TestDevice, bytes: number, clients: number) {
  const { clock, advance } = manualHost()
  const memory = new ServerMemory(clock, bytes, clients)
  const on = bench({ a: device }, { memory })
  return { on, memory, seconds: (count: number) => Array.from({ length: count }, () => advance(1000)) }
}

async function begin(on: Bench): Promise<Link> {
  const link = new Link(on)
  link.send(CLIENT_FLAGS, go('a'))
  await Link.settle()
  link.socket.written.length = 0
  return link
}

const announce = (length: number): Buffer => request(CMD.WRITE, { length })
const read = (length: number, cookie = 1): Buffer => request(CMD.READ, { length, cookie })

describe('the memory of a server', () => {
  it('is bounded beside hundreds of clients that announce all they may, and a small client is served at once', async () => {
    const device = new TestDevice(32 * MiB)
    const { on, memory } = crowded(device, 256 * MiB, 1024)
    const crowd = await Promise.all(Array.from({ length: 300 }, () => begin(on)))
    for (const link of crowd) for (let n = 0; n < 4; n++) link.send(announce(32 * MiB))
    await Link.settle()
    expect(memory.used).toBeLessThanOrEqual(128 * MiB)
    expect(on.requests.outstanding).toBe(3)
    const well = await begin(on)
    for (let cookie = 1; cookie <= 20; cookie++) {
      well.send(read(65536, cookie))
      await Link.settle(3)
      expect(well.output.length).toBe(cookie * (16 + 65536))
    }
  })

  it('is taken in turn, and goes on as it gets free', async () => {
    const device = new TestDevice(MiB)
    const { on, memory } = crowded(device, MiB, 64)
    device.hold = true
    const crowd: Link[] = []
    for (let n = 0; n < 8; n++) crowd.push(await begin(on))
    for (const [n, link] of crowd.entries()) link.send(read(262144, n))
    await Link.settle()
    expect(device.held.length).toBe(1)
    for (let done = 1; done <= 8; done++) {
      device.release(1)
      await Link.settle()
      expect(crowd.map((link) => link.output.length > 0)).toEqual(crowd.map((_, n) => n < done))
    }
    expect([memory.used, on.requests.outstanding]).toEqual([0, 0])
    for (const { socket } of crowd) expect(socket.isPaused()).toBe(false)
  })

  it('is held by replies until their client takes them', async () => {
    const device = new TestDevice(MiB)
    const { on, memory } = crowded(device, MiB, 64)
    const deaf = await begin(on)
    const next = await begin(on)
    deaf.socket.stuck = true
    deaf.send(read(MiB))
    await Link.settle()
    next.send(read(MiB))
    await Link.settle()
    expect(next.output.length).toBe(0)
    deaf.socket.unstick()
    await Link.settle(30)
    expect(next.output.length).toBe(16 + MiB)
    expect(memory.used).toBe(0)
  })

  it('is asked for once more than the whole: one client with the largest request goes on alone', async () => {
    const device = new TestDevice(4 * MiB)
    const { on } = crowded(device, MiB, 4)
    const link = await begin(on)
    link.send(read(4 * MiB), read(4 * MiB))
    await Link.settle(30)
    expect(link.output.length).toBe(2 * (16 + 4 * MiB))
  })

  it('is left neither to those who need much nor to those who need little', async () => {
    const device = new TestDevice(32 * MiB)
    const { on } = crowded(device, 64 * MiB, 1024)
    device.hold = true
    const large = await Promise.all(Array.from({ length: 8 }, () => begin(on)))
    for (const link of large) link.send(read(16 * MiB))
    const small = await Promise.all(Array.from({ length: 64 }, () => begin(on)))
    for (const link of small) link.send(read(MiB))
    await Link.settle()
    expect(device.held.filter(({ length }) => length === 16 * MiB).length).toBe(1)
    expect(device.held.filter(({ length }) => length === MiB).length).toBeGreaterThan(8)
    expect(device.held.length).toBeLessThan(32)
  })
})

describe('a client that is slow', () => {
  it('in sending what it announced is ended while others wait for memory', async () => {
    const device = new TestDevice(MiB)
    const { on, seconds } = crowded(device, MiB, 64)
    const slow = await begin(on)
    slow.send(announce(MiB))
    await Link.settle()
    seconds(60)
    expect(slow.socket.destroyed).toBe(false)
    const next = await begin(on)
    next.send(read(MiB))
    await Link.settle()
    for (let n = 0; n < 5; n++) {
      slow.send(Buffer.alloc(1))
      await Link.settle()
      seconds(1)
      expect(slow.socket.destroyed).toBe(false)
    }
    seconds(1)
    await Link.settle(30)
    expect(on.reasons).toEqual(['too slow while others wait for memory'])
    expect(next.output.length).toBe(16 + MiB)
  })

  it('in taking its replies is ended too, and gets more time for more of them', async () => {
    const device = new TestDevice(4 * MiB)
    const { on, seconds } = crowded(device, 2 * MiB, 64)
    const slow = await begin(on)
    slow.socket.stuck = true
    slow.send(read(4 * MiB))
    const next = await begin(on)
    next.send(read(4 * MiB))
    await Link.settle()
    seconds(9)
    expect(slow.socket.destroyed).toBe(false)
    seconds(1)
    expect(slow.socket.destroyed).toBe(true)
  })

  it('but moves stays, and so does one whose requests are at the device', async () => {
    const device = new TestDevice(4 * MiB)
    const { on, seconds } = crowded(device, MiB, 64)
    device.hold = true
    const waits = await begin(on)
    waits.send(read(MiB))
    const moves = await begin(on)
    moves.send(announce(4 * MiB))
    const next = await begin(on)
    next.send(read(MiB))
    await Link.settle()
    for (let n = 0; n < 15; n++) {
      moves.send(Buffer.alloc(262144))
      await Link.settle()
      seconds(1)
    }
    expect(on.reasons).toEqual([])
  })
})

describe('a client that waits for memory', () => {
  async function waiting(length: number, payload: Buffer) {
    const device = new RecordingDevice(MiB)
    const made = crowded(device, MiB, 4)
    device.hold = true
    const first = await begin(made.on)
    first.send(read(MiB))
    const link = await begin(made.on)
    link.send(request(CMD.WRITE, { length }), payload)
    await Link.settle()
    expect(device.held.length).toBe(1)
    return { ...made, device, first, link }
  }

  it('and goes writes nothing, nor does it keep its place', async () => {
    // What looks like DISC is payload.
    const { on, device, link } = await waiting(262144, Buffer.concat(Array(4).fill(request(CMD.DISC))))
    link.end()
    on.host.advance(100)
    await Link.settle()
    expect(device.abandoned.length).toBe(1)
    const next = await begin(on)
    next.send(read(262144))
    await Link.settle()
    device.hold = false
    device.release()
    await Link.settle(30)
    expect(link.socket.destroyed).toBe(true)
    expect(next.output.length).toBe(16 + 262144)
    expect(device.log.filter((line) => line.startsWith(`1:`))).toEqual([])
  })

  it('and says goodbye behind its last request is no client that died', async () => {
    const { on, device, first, link } = await waiting(262144, Buffer.alloc(262144, 7))
    link.send(request(CMD.DISC))
    link.end()
    device.release(1)
    await Link.settle(30)
    expect(first.output.length).toBe(16 + MiB)
    device.hold = false
    device.release()
    await Link.settle(30)
    expect(link.output).toEqual(simple(0))
    expect(on.reasons).toEqual([''])
  })

  it('and is cut leaves the queue', async () => {
    const { on, memory, device, link } = await waiting(262144, Buffer.alloc(0))
    const next = await begin(on)
    next.send(read(262144))
    link.connection.destroy('reset')
    device.hold = false
    device.release()
    await Link.settle(30)
    expect(next.output.equals(simple(0, 1, device.memory.subarray(0, 262144)))).toBe(true)
    expect([memory.used, on.requests.outstanding]).toEqual([0, 0])
  })
})
