import { describe, expect, it } from 'vitest'
import type { BlockDevice, DeviceLimits, Io } from '../src/index.ts'
import {
  Errno,
  IoFlag,
  IoOp,
  IoSource,
  NOT_EXECUTED,
  OK,
  openMultipath,
  userDevice,
  writeThrough,
} from '../src/index.ts'
import { FakeTarget, inTurn, LIMITS, send, VOLUME, virtualHost } from './support/rig.ts'

/** A device that keeps what it is given, and loses what is in its cache: tells which ops are durable. */
class CachedDevice implements BlockDevice {
  limits: DeviceLimits
  readonly seen: string[] = []
  readonly held: Io[] = []
  /** Names of changes that a power loss would take. */
  volatile: string[] = []

  constructor(limits: Partial<DeviceLimits> = {}) {
    this.limits = { ...LIMITS, writeCache: false, ...limits }
  }

  switchCache(on: boolean): void {
    this.limits = { ...this.limits, writeCache: on }
  }

  submit(io: Io): void {
    this.seen.push(nameOf(io))
    this.held.push(io)
  }

  /** Executes the first `count`; each is cached as the device is set when it is executed. */
  run(count = this.held.length, status: number = OK): void {
    for (const io of this.held.splice(0, count)) {
      if (io.op === IoOp.Flush) this.volatile = []
      else if (io.op !== IoOp.Read && this.limits.writeCache && (io.flags & IoFlag.Fua) === 0)
        this.volatile.push(nameOf(io))
      io.done(io, status)
    }
  }

  async close(): Promise<void> {
    this.seen.push('close')
  }
}

function nameOf({ op, flags, offset }: Io): string {
  return `${['read', 'write', 'flush', 'trim', 'zero'][op]}${(flags & IoFlag.Fua) === 0 ? '' : ' fua'} ${offset}`
}

const CHANGES = [IoOp.Write, IoOp.Trim, IoOp.WriteZeroes] as const

describe('a device that is written through', () => {
  it('says that it has no cache, and follows every other limit', () => {
    const device = new CachedDevice({ writeCache: true })
    const through = writeThrough(device)
    expect(through.limits).toEqual({ ...device.limits, writeCache: false })
    expect(through.limits).toBe(through.limits)
    device.limits = { ...device.limits, size: 512 }
    expect(through.limits).toMatchObject({ size: 512, writeCache: false })
  })

  it('flushes what was written before, where there is a cache already', () => {
    const device = new CachedDevice({ writeCache: true })
    send(device, IoOp.Write, 0, 512)
    device.run()
    writeThrough(device)
    device.run()
    expect(device.volatile).toEqual([])
    writeThrough(new CachedDevice())
    expect(device.seen).toEqual(['write 0', 'flush 0'])
  })

  it('without a cache passes everything as it came', () => {
    const device = new CachedDevice()
    const through = writeThrough(device)
    const sent = [IoOp.Read, ...CHANGES, IoOp.Flush].map((op) => send(through, op, 0, op === IoOp.Flush ? 0 : 512))
    device.run()
    expect(device.seen).toEqual(['read 0', 'write 0', 'trim 0', 'zero 0', 'flush 0'])
    expect(sent.map(({ status }) => status)).toEqual([OK, OK, OK, OK, OK])
  })

  it.each(CHANGES)('makes op %i durable before it is done, once the cache is on', (op) => {
    for (const fua of [true, false]) {
      const device = new CachedDevice({ fua })
      const through = writeThrough(device)
      device.switchCache(true)
      const sent = send(through, op, 4096, 512)
      device.run(1)
      if (!fua || op === IoOp.Trim) {
        expect(sent.status).toBeUndefined()
        device.run(1)
      }
      expect(sent.status).toBe(OK)
      expect(device.volatile).toEqual([])
    }
  })

  it.each(CHANGES)('makes op %i durable that was under way when the cache was switched on', (op) => {
    const device = new CachedDevice()
    const sent = send(writeThrough(device), op, 4096, 512)
    device.switchCache(true)
    device.run(1)
    expect(sent.status).toBeUndefined()
    expect(device.volatile).toHaveLength(1)
    device.run(1)
    expect(sent.status).toBe(OK)
    expect(device.volatile).toEqual([])
  })

  it('tells where a change could not be made durable, and does not say that it has not run', () => {
    const device = new CachedDevice()
    const sent = send(writeThrough(device), IoOp.Write, 0, 512)
    device.switchCache(true)
    device.run(1)
    device.run(1, Errno.EIO | NOT_EXECUTED)
    expect(sent.status).toBe(Errno.EIO)
  })

  it('does not flush after a change that failed, and uses nothing twice that is under way', () => {
    const device = new CachedDevice({ fua: false })
    const through = writeThrough(device)
    device.switchCache(true)
    const first = send(through, IoOp.Write, 0, 512)
    const second = send(through, IoOp.Write, 512, 512)
    device.run(1, Errno.EIO)
    expect(first.status).toBe(Errno.EIO)
    const third = send(through, IoOp.Write, 1024, 512)
    device.run()
    device.run()
    expect([second.status, third.status]).toEqual([OK, OK])
    expect(device.seen).toEqual(['write 0', 'write 512', 'write 1024', 'flush 0', 'flush 0'])
  })

  it('passes data, source and the calls beside I/O', async () => {
    const device = new CachedDevice() as CachedDevice & BlockDevice
    const gone: IoSource[] = []
    device.abandon = (source) => void gone.push(source)
    device.extents = async (offset) => [{ length: offset, hole: true, zero: true }]
    device.sendCommand = async (protocol, command) => [protocol, command]
    const through = writeThrough(device)
    const source = new IoSource(1)
    const sent = send(through, IoOp.Write, 0, 512)
    expect(device.held[0]?.buffers).toBe(sent.io.buffers)
    device.run()
    sent.io.source = source
    through.submit(sent.io)
    expect(device.held[0]?.source).toBe(source)
    device.run()
    expect(sent.times).toBe(2)
    through.abandon?.(source)
    expect(gone).toEqual([source])
    expect(await through.extents?.(7, 512)).toEqual([{ length: 7, hole: true, zero: true }])
    expect(await through.sendCommand?.('toy', 6)).toEqual(['toy', 6])
    await through.close()
    expect(device.seen.at(-1)).toBe('close')
    expect(writeThrough(new CachedDevice()).sendCommand).toBeUndefined()
  })
})

describe('a cache that is switched while I/O is under way', () => {
  it.each([512, 200 * 1024])('a Fua write of %i bytes on a device without Fua is flushed at its end', (length) => {
    const device = new CachedDevice({ fua: false })
    const sent = send(userDevice(device), IoOp.Write, 0, length, IoFlag.Fua)
    device.switchCache(true)
    device.run()
    expect(sent.status).toBeUndefined()
    device.run()
    expect(sent.status).toBe(OK)
    expect(device.volatile).toEqual([])
  })

  async function volume() {
    const target = new FakeTarget(2)
    target.limits = { ...LIMITS, writeCache: false }
    const host = virtualHost(1)
    const device = await host.clock.runUntil(openMultipath(VOLUME, target.sources, { host, selector: inTurn }))
    const say = (index: number, writeCache: boolean): void => {
      const path = target.path(index)
      path.limits = { ...path.limits, writeCache }
      path.events.emit('limits', path.limits)
    }
    const seen = (): number[] =>
      [0, 1].flatMap((index) =>
        target
          .path(index)
          .seen.splice(0)
          .map(([op]) => op),
      )
    return { device, host, target, say, seen }
  }

  it('the volume is flushed once when a path tells that it has a cache now', async () => {
    const { device, host, target, say, seen } = await volume()
    say(0, true)
    say(1, true)
    expect(device.limits.writeCache).toBe(true)
    expect(seen()).toEqual([IoOp.Flush])
    target.completeAll()
    await host.clock.runUntil(device.close())
    expect(seen()).toEqual([])
  })

  it('a volume has its cache until what was in flight is done, and flushed, after all paths say that it is off', async () => {
    const { device, host, target, say, seen } = await volume()
    say(0, true)
    target.completeAll()
    const written = send(device, IoOp.Write)
    seen()
    say(0, false)
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([true, []])
    target.completeAll()
    expect(written.status).toBe(OK)
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([true, [IoOp.Flush]])
    // On and off once more, while it is flushed: what was written meanwhile is to be flushed too.
    say(1, true)
    say(1, false)
    target.completeAll()
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([true, [IoOp.Flush, IoOp.Flush]])
    target.completeAll()
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([false, []])
  })

  it('a volume whose cache is on again by the time it is flushed has one', async () => {
    const { device, host, target, say } = await volume()
    say(0, true)
    target.completeAll()
    say(0, false)
    await host.clock.advance(1)
    say(1, true)
    for (let round = 0; round < 3; round++) {
      target.completeAll()
      await host.clock.advance(1)
    }
    expect(device.limits.writeCache).toBe(true)
  })

  it('a volume that could not be flushed then keeps its cache, and is flushed when next a path changes', async () => {
    const { device, host, target, say, seen } = await volume()
    say(0, true)
    target.completeAll()
    seen()
    say(0, false)
    await host.clock.advance(1)
    target.completeAll(Errno.EIO)
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([true, [IoOp.Flush]])
    say(1, false)
    await host.clock.advance(1)
    target.completeAll()
    await host.clock.advance(1)
    expect([device.limits.writeCache, seen()]).toEqual([false, [IoOp.Flush]])
  })
})
