import { BlockError, Errno, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { TransmissionFlag } from '../src/protocol.ts'
import { sparseDevice, TestDevice } from './support/device.ts'
import type { Bench } from './support/link.ts'
import { bench, Link } from './support/link.ts'
import {
  CLIENT_FLAGS,
  CMD,
  chunk,
  errorBody,
  extended,
  extendedChunk,
  FLAG,
  go,
  hex,
  meta,
  OPT,
  option,
  request,
  simple,
  u32,
  u64,
} from './support/wire.ts'

const EINVAL = 22
const ENOSPC = 28
const COOKIE = 0xfedcba9876543210n
const select = meta(OPT.SET_META, 'a', ['base:allocation'])

/** A connection in its transmission phase; `talk` gives what the server says from then on. */
async function begin(on: Bench, ...options: Buffer[]): Promise<{ link: Link; talk(...c: Buffer[]): Promise<string> }> {
  const link = new Link(on)
  link.send(CLIENT_FLAGS, ...options, go('a'))
  await Link.settle()
  let seen = link.output.length
  return {
    link,
    async talk(...chunks) {
      link.send(...chunks)
      await Link.settle()
      const output = link.output.subarray(seen)
      seen += output.length
      return output.toString('hex')
    },
  }
}

const bytes = (...parts: Buffer[]): string => Buffer.concat(parts).toString('hex')

describe('simple replies', () => {
  it('reads, small and large', async () => {
    const device = new TestDevice(262144)
    const { talk } = await begin(bench({ a: device }))
    expect(await talk(request(CMD.READ, { cookie: COOKIE, offset: 512, length: 1024 }))).toBe(
      bytes(simple(0, COOKIE, device.memory.subarray(512, 1536))),
    )
    expect(await talk(request(CMD.READ, { offset: 4096, length: 131072 }))).toBe(
      bytes(simple(0, 1, device.memory.subarray(4096, 4096 + 131072))),
    )
  })

  it('writes what came, in however many chunks', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    const payload = Buffer.alloc(8192, 'payload')
    const write = request(CMD.WRITE, { flags: FLAG.FUA, cookie: COOKIE, offset: 1024, payload })
    expect(await talk(write.subarray(0, 100), write.subarray(100, 3000), write.subarray(3000))).toBe(
      bytes(simple(0, COOKIE)),
    )
    expect(device.memory.subarray(1024, 1024 + 8192).equals(payload)).toBe(true)
    expect(device.log).toEqual(['1:1024+8192 f1'])
  })

  it('passes flush, trim, write zeroes with their flags', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    const output = await talk(
      request(CMD.FLUSH, { cookie: 1 }),
      request(CMD.TRIM, { cookie: 2, offset: 512, length: 512, flags: FLAG.FUA }),
      request(CMD.ZEROES, { cookie: 3, offset: 0, length: 65536, flags: FLAG.NO_HOLE }),
      request(CMD.ZEROES, { cookie: 4, offset: 0, length: 512, flags: FLAG.FAST_ZERO | FLAG.FUA }),
      request(CMD.CACHE, { cookie: 5, offset: 0, length: 65536 }),
    )
    expect(device.log).toEqual(['2:0+0', '3:512+512 f1', '4:0+65536 f2', '4:0+512 f5'])
    // CACHE needs no device, so its answer comes first.
    expect(output).toBe(bytes(simple(0, 5), simple(0, 1), simple(0, 2), simple(0, 3), simple(95, 4)))
  })

  it('answers bad requests with the errors of the specification and serves on', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    const cases: [Buffer, number][] = [
      [request(CMD.READ, { offset: 1, length: 512 }), EINVAL],
      [request(CMD.READ, { offset: 0, length: 511 }), EINVAL],
      [request(CMD.READ, { offset: 65536, length: 512 }), EINVAL],
      [request(CMD.READ, { offset: 0, length: 0 }), EINVAL],
      [request(CMD.READ, { offset: 0, length: 0xffffffff }), EINVAL],
      [request(CMD.READ, { offset: 2n ** 53n, length: 512 }), EINVAL],
      [request(CMD.READ, { offset: 2n ** 64n - 512n, length: 512 }), EINVAL],
      [request(CMD.READ, { flags: FLAG.DF, length: 512 }), EINVAL],
      [request(CMD.READ, { flags: 0x8000, length: 512 }), EINVAL],
      [request(CMD.WRITE, { offset: 65024, payload: Buffer.alloc(1024) }), ENOSPC],
      [request(CMD.WRITE, { offset: 2n ** 63n, payload: Buffer.alloc(512) }), ENOSPC],
      [request(CMD.WRITE, { offset: 1, payload: Buffer.alloc(512) }), EINVAL],
      [request(CMD.WRITE, { payload: Buffer.alloc(0) }), EINVAL],
      [request(CMD.WRITE, { flags: FLAG.PAYLOAD, payload: Buffer.alloc(512) }), EINVAL],
      [request(CMD.ZEROES, { offset: 65536, length: 512 }), ENOSPC],
      [request(CMD.TRIM, { offset: 65536, length: 512 }), EINVAL],
      [request(CMD.CACHE, { offset: 65536, length: 512 }), EINVAL],
      [request(CMD.CACHE, { offset: 0, length: 65537 }), EINVAL],
      [request(CMD.FLUSH, { offset: 512 }), EINVAL],
      [request(CMD.FLUSH, { length: 512 }), EINVAL],
      [request(CMD.STATUS, { length: 512 }), EINVAL],
      [request(8, { length: 512 }), EINVAL],
      [request(0xffff, { length: 512 }), EINVAL],
    ]
    for (const [bad, error] of cases) {
      expect(await talk(bad), bad.subarray(0, 28).toString('hex')).toBe(bytes(simple(error)))
    }
    expect(await talk(request(CMD.FLUSH))).toBe(bytes(simple(0)))
  })

  it('maps every status to an error of NBD', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    const cases: [number, number][] = [
      [Errno.EIO, 5],
      [Errno.EIO | PATH_ERROR, 5],
      [Errno.ENOLINK | PATH_ERROR, 5],
      [Errno.EBADE, 5],
      [Errno.ETIMEDOUT, 5],
      [Errno.EPERM, 1],
      [Errno.EROFS, 1],
      [Errno.EACCES, 1],
      [Errno.ENOMEM, 12],
      [Errno.EINVAL, 22],
      [Errno.ENOSPC, 28],
      // The protocol has these two as answers to a read with DF and to FAST_ZERO alone.
      [Errno.EOVERFLOW, 5],
      [Errno.EOPNOTSUPP, 22],
      [Errno.ESHUTDOWN | PATH_ERROR, 108],
    ]
    for (const [status, error] of cases) {
      device.failWith = status
      expect(await talk(request(CMD.READ, { length: 512 }))).toBe(bytes(simple(error)))
    }
  })

  it('refuses every change of a read-only export with EPERM, payloads skipped', async () => {
    const device = new TestDevice(65536, { readOnly: true })
    const { talk } = await begin(bench({ a: device }))
    expect(
      await talk(
        request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(4096, 0x25) }),
        request(CMD.TRIM, { cookie: 2, length: 512 }),
        request(CMD.ZEROES, { cookie: 3, length: 512 }),
        request(CMD.READ, { cookie: 4, length: 512 }),
      ),
    ).toBe(bytes(simple(1, 1), simple(1, 2), simple(1, 3), simple(0, 4, device.memory.subarray(0, 512))))
    expect(device.log).toEqual(['0:0+512'])
  })

  it('refuses changes while the device is read-only, and takes them from whoever was told so again after that', async () => {
    const device = new TestDevice()
    const { limits } = device
    const on = bench({ a: device })
    const before = await begin(on)
    const changes = [
      request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(512, 0x25) }),
      request(CMD.TRIM, { cookie: 2, length: 512 }),
      request(CMD.ZEROES, { cookie: 3, length: 512 }),
    ]
    const refused = bytes(simple(1, 1), simple(1, 2), simple(1, 3))
    const done = bytes(simple(0, 1), simple(0, 2), simple(0, 3))
    expect(await before.talk(...changes)).toBe(done)
    device.limits = { ...limits, readOnly: true }
    expect(await before.talk(...changes)).toBe(refused)
    expect(on.exports.get('a')!.flags & TransmissionFlag.ReadOnly).not.toBe(0)
    const meanwhile = await begin(on)
    device.limits = limits
    expect(on.exports.get('a')!.flags & TransmissionFlag.ReadOnly).toBe(0)
    expect(await before.talk(...changes)).toBe(done)
    // It was told that it cannot, and NBD has no news for it.
    expect(await meanwhile.talk(...changes)).toBe(refused)
    expect(await (await begin(on)).talk(...changes)).toBe(done)
  })

  it('answers with EIO when a device leaves too few bytes', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    device.hold = true
    await talk(request(CMD.READ, { length: 1024 }))
    const io = device.held[0]!
    io.buffers = [Buffer.alloc(512)]
    io.done(io, 0)
    expect(await talk()).toBe(bytes(simple(5)))
  })

  it('replies in the order in which the device is done', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }))
    device.hold = true
    expect(await talk(...[1, 2, 3].map((cookie) => request(CMD.READ, { cookie, length: 512 * cookie })))).toBe('')
    device.held.reverse()
    device.release()
    expect(await talk()).toBe(bytes(...[3, 2, 1].map((c) => simple(0, c, device.memory.subarray(0, 512 * c)))))
  })

  it('answers what is in flight before it closes on DISC', async () => {
    const device = new TestDevice()
    const on = bench({ a: device })
    const { link, talk } = await begin(on)
    device.hold = true
    await talk(request(CMD.READ, { length: 512 }), request(CMD.DISC), request(CMD.FLUSH))
    expect(link.socket.destroyed).toBe(false)
    device.release()
    expect(await talk()).toBe(bytes(simple(0, 1, device.memory.subarray(0, 512))))
    expect(link.socket.destroyed).toBe(true)
    expect(device.log).toEqual(['0:0+512'])
    expect([on.requests.outstanding, on.slabs.outstanding, on.host.pending()]).toEqual([0, 0, 0])
  })

  it('drops a client with a bad request magic, or a payload above 32 MiB', async () => {
    const on = bench({ a: new TestDevice() })
    const first = await begin(on)
    await first.talk(hex('25609514').subarray(0, 4), Buffer.alloc(24))
    const second = await begin(on)
    await second.talk(request(CMD.WRITE, { length: 33554433 }))
    expect(first.link.socket.destroyed && second.link.socket.destroyed).toBe(true)
    expect(on.reasons).toEqual(['bad magic number in a request', 'payload of 33554433 bytes'])
    expect(on.requests.outstanding).toBe(0)
  })
})

describe('structured replies', () => {
  it('reads with one chunk, errors as error chunks, and short answers otherwise', async () => {
    const device = sparseDevice()
    const { talk } = await begin(bench({ a: device }), option(OPT.STRUCTURED))
    expect(await talk(request(CMD.READ, { cookie: COOKIE, offset: 512, length: 512, flags: FLAG.DF }))).toBe(
      bytes(chunk(1, COOKIE, Buffer.concat([u64(512), device.memory.subarray(512, 1024)]))),
    )
    expect(await talk(request(CMD.READ, { offset: 0, length: 65536 }))).toBe(
      bytes(chunk(1, 1, Buffer.concat([u64(0), device.memory]))),
    )
    expect(await talk(request(CMD.READ, { offset: 65536, length: 512 }))).toBe(bytes(chunk(0x8001, 1, errorBody(22))))
    expect(await talk(request(CMD.READ, { offset: 0, length: 33554944 }))).toBe(bytes(chunk(0x8001, 1, errorBody(75))))
    expect(await talk(request(CMD.FLUSH))).toBe(bytes(simple(0)))
    // No context was selected.
    expect(await talk(request(CMD.STATUS, { length: 512 }))).toBe(bytes(chunk(0x8001, 1, errorBody(22))))
  })

  it('tells allocation: runs of one state, one run with REQ_ONE', async () => {
    const { talk } = await begin(bench({ a: sparseDevice() }), option(OPT.STRUCTURED), select)
    const run = (length: number, flags: number): Buffer => Buffer.concat([u32(length), u32(flags)])
    const status = (...runs: Buffer[]): string => bytes(chunk(5, 1, Buffer.concat([u32(1), ...runs])))
    expect(await talk(request(CMD.STATUS, { length: 65536 }))).toBe(status(run(32768, 0), run(32768, 3)))
    expect(await talk(request(CMD.STATUS, { offset: 32256, length: 1024, flags: FLAG.REQ_ONE }))).toBe(
      status(run(512, 0)),
    )
    expect(await talk(request(CMD.STATUS, { offset: 65024, length: 512 }))).toBe(status(run(512, 3)))
    for (const bad of [{ length: 0 }, { offset: 65536, length: 512 }, { length: 65537 }, { offset: 3, length: 512 }]) {
      expect(await talk(request(CMD.STATUS, bad))).toBe(bytes(chunk(0x8001, 1, errorBody(22))))
    }
  })

  it('answers block status with the error of the device, and cuts extents to what fits', async () => {
    const device = sparseDevice()
    const { talk } = await begin(bench({ a: device }), option(OPT.STRUCTURED), select)
    device.extents = () => Promise.reject(new BlockError('CLOSED', 'closed'))
    expect(await talk(request(CMD.STATUS, { length: 512 }))).toBe(bytes(chunk(0x8001, 1, errorBody(108))))
    device.extents = () => Promise.reject(new Error('no idea'))
    expect(await talk(request(CMD.STATUS, { length: 512 }))).toBe(bytes(chunk(0x8001, 1, errorBody(5))))
    device.extents = async () => [{ length: 4096, hole: false, zero: true }]
    expect(await talk(request(CMD.STATUS, { length: 512 }))).toBe(
      bytes(chunk(5, 1, Buffer.concat([u32(1), u32(512), u32(2)]))),
    )
    device.extents = async () => []
    expect(await talk(request(CMD.STATUS, { length: 1024 }))).toBe(
      bytes(chunk(5, 1, Buffer.concat([u32(1), u32(1024), u32(0)]))),
    )
  })
})

describe('extended headers', () => {
  it('answers everything with extended chunks that echo the offset', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }), option(OPT.EXTENDED))
    expect(await talk(extended(CMD.READ, { cookie: COOKIE, offset: 512, length: 512 }))).toBe(
      bytes(extendedChunk(1, COOKIE, 512, Buffer.concat([u64(512), device.memory.subarray(512, 1024)]))),
    )
    const payload = Buffer.alloc(512, 'x')
    expect(await talk(extended(CMD.WRITE, { flags: FLAG.PAYLOAD, offset: 1024, payload }))).toBe(
      bytes(extendedChunk(0, 1, 1024)),
    )
    expect(device.memory.subarray(1024, 1536).equals(payload)).toBe(true)
    expect(await talk(extended(CMD.FLUSH))).toBe(bytes(extendedChunk(0, 1, 0)))
    expect(await talk(extended(CMD.ZEROES, { length: 2n ** 40n }))).toBe(
      bytes(extendedChunk(0x8001, 1, 0, errorBody(28))),
    )
    expect(await talk(extended(CMD.TRIM, { length: 2n ** 64n - 1n, offset: 2n ** 64n - 1n }))).toBe(
      bytes(extendedChunk(0x8001, 1, 2n ** 64n - 1n, errorBody(22))),
    )
  })

  it('consumes payloads that a command may not have', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }), option(OPT.EXTENDED))
    const bad = bytes(extendedChunk(0x8001, 1, 0, errorBody(22)))
    expect(await talk(extended(CMD.READ, { flags: FLAG.PAYLOAD, payload: Buffer.alloc(512) }))).toBe(bad)
    expect(await talk(extended(CMD.WRITE))).toBe(bad)
    expect(await talk(extended(CMD.WRITE, { flags: FLAG.PAYLOAD }))).toBe(bad)
    expect(device.log).toEqual([])
    expect(await talk(extended(CMD.FLUSH))).toBe(bytes(extendedChunk(0, 1, 0)))
  })

  it('takes what follows a WRITE as its data without the payload flag too, as qemu sends it', async () => {
    const device = new TestDevice()
    const { talk } = await begin(bench({ a: device }), option(OPT.EXTENDED))
    const payload = Buffer.alloc(512, 'x')
    expect(await talk(extended(CMD.WRITE, { flags: FLAG.FUA, offset: 1024, payload }))).toBe(
      bytes(extendedChunk(0, 1, 1024)),
    )
    expect(device.memory.subarray(1024, 1536).equals(payload)).toBe(true)
    expect(device.log).toEqual(['1:1024+512 f1'])
  })

  it('drops a client that announces a payload above 32 MiB for any command', async () => {
    const on = bench({ a: new TestDevice() })
    const { link, talk } = await begin(on, option(OPT.EXTENDED))
    await talk(extended(CMD.FLUSH, { flags: FLAG.PAYLOAD, length: 2n ** 32n }))
    expect(link.socket.destroyed).toBe(true)
    expect(on.reasons).toEqual(['payload of 4294967296 bytes'])
  })

  it('tells allocation in 64 bits, and takes a payload that names the context', async () => {
    const { talk } = await begin(bench({ a: sparseDevice() }), option(OPT.EXTENDED), select)
    const run = (length: number, flags: number): Buffer => Buffer.concat([u64(length), u64(flags)])
    const status = (...runs: Buffer[]): string =>
      bytes(extendedChunk(6, 1, 0, Buffer.concat([u32(1), u32(runs.length), ...runs])))
    expect(await talk(extended(CMD.STATUS, { length: 65536 }))).toBe(status(run(32768, 0), run(32768, 3)))
    const filtered = (length: number, ...ids: number[]): Buffer =>
      extended(CMD.STATUS, { flags: FLAG.PAYLOAD, payload: Buffer.concat([u64(length), ...ids.map(u32)]) })
    expect(await talk(filtered(4096, 1))).toBe(status(run(4096, 0)))
    const bad = bytes(extendedChunk(0x8001, 1, 0, errorBody(22)))
    const wrong = [filtered(4096), filtered(4096, 2), filtered(4096, 1, 1), filtered(0, 1), filtered(1e9, 1)]
    for (const one of wrong) expect(await talk(one)).toBe(bad)
    expect(await talk(filtered(4096, ...Array(5000).fill(1)))).toBe(bad)
    expect(await talk(filtered(512, 1))).toBe(status(run(512, 0)))
  })

  it('keeps compact runs below 2 ** 32 and joins extended ones', async () => {
    const large = (): TestDevice => {
      const device = sparseDevice()
      device.limits = { ...device.limits, size: 2 ** 34 }
      device.extents = async (_offset, length) => [{ length, hole: true, zero: true }]
      return device
    }
    const compact = await begin(bench({ a: large() }), option(OPT.STRUCTURED), select)
    expect(await compact.talk(request(CMD.STATUS, { length: 0xfffffe00 }))).toBe(
      bytes(chunk(5, 1, Buffer.concat([u32(1), u32(0xffff0000), u32(3)]))),
    )
    const wide = await begin(bench({ a: large() }), option(OPT.EXTENDED), select)
    expect(await wide.talk(extended(CMD.STATUS, { length: 2 ** 33 }))).toBe(
      bytes(extendedChunk(6, 1, 0, Buffer.concat([u32(1), u32(1), u64(2 ** 33), u64(3)]))),
    )
  })
})
