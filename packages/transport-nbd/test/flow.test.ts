import { describe, expect, it } from 'vitest'
import { TestDevice } from './support/device.ts'
import type { Bench } from './support/link.ts'
import { bench, Link } from './support/link.ts'
import { CLIENT_FLAGS, CMD, go, request, simple } from './support/wire.ts'

async function begin(on: Bench): Promise<Link> {
  const link = new Link(on)
  link.send(CLIENT_FLAGS, go('a'))
  await Link.settle()
  link.socket.written.length = 0
  return link
}

describe('back-pressure', () => {
  it('takes maxRequests at once and stops reading, then goes on as they finish', async () => {
    const device = new TestDevice()
    const on = bench({ a: device }, { maxRequests: 4 })
    const link = await begin(on)
    device.hold = true
    const reads = Array.from({ length: 20 }, (_, cookie) => request(CMD.READ, { cookie, length: 512 }))
    link.send(Buffer.concat(reads.slice(0, 10)), Buffer.concat(reads.slice(10)))
    await Link.settle()
    expect(device.held.length).toBe(4)
    expect(link.socket.isPaused()).toBe(true)
    for (let done = 0; done < 20; done++) {
      device.release(1)
      await Link.settle(3)
      expect(device.held.length).toBe(Math.min(4, 19 - done))
    }
    expect(link.socket.isPaused()).toBe(false)
    const all = Array.from({ length: 20 }, (_, cookie) => simple(0, cookie, device.memory.subarray(0, 512)))
    expect(link.output.equals(Buffer.concat(all))).toBe(true)
  })

  it('counts bytes in flight: reads that the device works on, and writes', async () => {
    const device = new TestDevice()
    const link = await begin(bench({ a: device }, { maxInflightBytes: 8192 }))
    device.hold = true
    const write = request(CMD.WRITE, { payload: Buffer.alloc(4096) })
    link.send(Buffer.concat([write, request(CMD.READ, { length: 4096 }), write, write]))
    await Link.settle()
    expect(device.held.length).toBe(2)
    device.hold = false
    device.release()
    await Link.settle()
    expect(device.log.length).toBe(4)
  })

  it('does not read a client that does not fetch its replies', async () => {
    const device = new TestDevice()
    const on = bench({ a: device }, { maxInflightBytes: 65536 })
    const link = await begin(on)
    link.socket.stuck = true
    const reads = Buffer.concat(Array(100).fill(request(CMD.READ, { length: 16384 })))
    link.send(reads)
    await Link.settle(50)
    expect(device.log.length).toBeLessThanOrEqual(4)
    expect(link.socket.isPaused()).toBe(true)
    link.socket.unstick()
    await Link.settle(300)
    expect(device.log.length).toBe(100)
    expect(link.output.length).toBe(100 * (16 + 16384))
    expect([on.requests.outstanding, on.slabs.outstanding]).toEqual([0, 0])
  })

  it('gathers a payload that comes in single bytes', async () => {
    const device = new TestDevice()
    const link = await begin(bench({ a: device }))
    device.hold = true
    const payload = Buffer.from(Array.from({ length: 8192 }, (_, i) => i % 251))
    for (const byte of request(CMD.WRITE, { payload })) link.send(Buffer.of(byte))
    await Link.settle(50)
    const { buffers } = device.held[0]!
    expect(buffers.length).toBe(1)
    expect(Buffer.concat(buffers).equals(payload)).toBe(true)
  })

  it('gathers a large payload that comes in small pieces, and takes the large pieces as they are', async () => {
    const device = new TestDevice(262144)
    const link = await begin(bench({ a: device }))
    device.hold = true
    const payload = Buffer.from(Array.from({ length: 200 * 1024 }, (_, i) => i % 251))
    const bytes = request(CMD.WRITE, { payload })
    for (let at = 0; at < 150_000; at += 1000) link.send(bytes.subarray(at, at + 1000))
    link.send(bytes.subarray(150_000))
    await Link.settle(50)
    const { buffers } = device.held[0]!
    expect(buffers.map((view) => view.length)).toEqual([65536, 65536, 150_000 - 28 - 131072, 204828 - 150_000])
    expect(Buffer.concat(buffers).equals(payload)).toBe(true)
  })

  it('joins the replies of a turn into one write', async () => {
    const device = new TestDevice()
    const link = await begin(bench({ a: device }))
    const before = link.socket.writes
    link.send(Buffer.concat(Array(32).fill(request(CMD.READ, { length: 4096 }))))
    await Link.settle()
    expect(link.output.length).toBe(32 * (16 + 4096))
    expect(link.socket.writes - before).toBe(1)
  })
})

describe('a slab of replies', () => {
  it('is not used again before the socket has taken it', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    const expected: Buffer[] = []
    for (let cookie = 1; cookie <= 400; cookie++) {
      const large = cookie % 7 === 0
      const length = large ? 49152 : 512 * (1 + (cookie % 60))
      link.send(request(CMD.READ, { cookie, length }))
      expected.push(simple(0, cookie, device.memory.subarray(0, length)))
      if (cookie % 5 === 0) await Link.settle(1)
      if (cookie === 100) link.socket.stuck = true
      if (cookie === 200) link.socket.unstick()
    }
    await Link.settle(50)
    expect(link.output.equals(Buffer.concat(expected))).toBe(true)
    expect([on.requests.outstanding, on.slabs.outstanding]).toEqual([0, 0])
  })
})

describe('a client that goes away', () => {
  it('in the middle of a write: the write never reaches the device', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    link.send(request(CMD.WRITE, { payload: Buffer.alloc(4096) }).subarray(0, 4000))
    link.socket.push(null)
    await Link.settle()
    expect(device.log).toEqual([])
    expect(link.socket.destroyed).toBe(true)
    expect(on.requests.outstanding).toBe(0)

    const cut = await begin(on)
    cut.send(request(CMD.WRITE, { payload: Buffer.alloc(4096) }).subarray(0, 4000))
    await Link.settle()
    expect(on.requests.outstanding).toBe(1)
    cut.connection.destroy('connection reset')
    expect(on.requests.outstanding).toBe(0)
  })

  it('with Ios in flight: they complete into nothing and everything is given back', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    device.hold = true
    link.send(request(CMD.READ, { length: 4096 }), request(CMD.WRITE, { payload: Buffer.alloc(4096) }))
    await Link.settle()
    link.connection.destroy('gone')
    expect(on.requests.outstanding).toBe(2)
    device.release()
    await Link.settle()
    expect([on.requests.outstanding, on.slabs.outstanding]).toEqual([0, 0])
    expect(on.exports.get('a')!.inflight).toBe(0)
  })

  it('and does not fetch its last replies is cut after 5 s', async () => {
    const on = bench({ a: new TestDevice() })
    const link = await begin(on)
    link.socket.stuck = true
    link.send(request(CMD.FLUSH), request(CMD.DISC))
    await Link.settle()
    expect(link.socket.destroyed).toBe(false)
    on.host.advance(5000)
    expect(link.socket.destroyed).toBe(true)
    expect(on.reasons).toEqual(['replies not fetched in time'])
  })
})

describe('removing an export', () => {
  it('lets Ios finish, answers new requests with ESHUTDOWN, then closes', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    const idle = await begin(on)
    device.hold = true
    link.send(request(CMD.READ, { cookie: 1, length: 512 }))
    await Link.settle()
    let removed = false
    const removal = on.exports
      .get('a')!
      .remove()
      .then(() => {
        removed = true
      })
    link.send(request(CMD.READ, { cookie: 2, length: 512 }))
    await Link.settle()
    expect(idle.socket.destroyed).toBe(true)
    expect([link.socket.destroyed, removed]).toEqual([false, false])
    device.release()
    await removal
    await Link.settle()
    expect(link.socket.destroyed).toBe(true)
    expect(link.output.equals(Buffer.concat([simple(108, 2), simple(0, 1, device.memory.subarray(0, 512))]))).toBe(true)
  })

  it('does not wait for the rest of a write', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    link.send(request(CMD.WRITE, { length: 4096 }))
    await Link.settle()
    await on.exports.get('a')!.remove()
    expect(link.socket.destroyed).toBe(true)
    expect(on.requests.outstanding).toBe(0)
  })

  it('cuts everything when the signal fires', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const link = await begin(on)
    device.hold = true
    link.send(request(CMD.READ, { length: 512 }))
    await Link.settle()
    const stop = new AbortController()
    const removal = on.exports.get('a')!.remove({ signal: stop.signal })
    stop.abort()
    await removal
    expect(link.socket.destroyed).toBe(true)
    device.release()
    await Link.settle()
    expect(on.requests.outstanding).toBe(0)
  })
})
