import type { BlockDevice, IoStatus, Path } from '@blockbraid/core'
import { Errno, Io, IoOp, isPathError, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import {
  createMinimalArray,
  createMinimalDevice,
  delayed,
  deviceSuite,
  failing,
  hanging,
  pathSuite,
  recording,
  virtualHost,
} from '../src/index.ts'
import type { MinimalArray } from '../src/minimal/array.ts'

const has = { trim: true, writeZeroes: true, fua: true, writeCache: true, extents: true }

function send(device: BlockDevice, op: IoOp, offset = 0): { status: Promise<IoStatus>; outcome?: IoStatus } {
  const io = new Io()
  io.op = op
  io.offset = offset
  io.length = op === IoOp.Flush ? 0 : 4096
  if (op <= IoOp.Write) io.buffers = [Buffer.alloc(4096)]
  const sent: { status: Promise<IoStatus>; outcome?: IoStatus } = {
    status: new Promise((resolve) => {
      io.done = (_io, status) => {
        sent.outcome = status
        resolve(status)
      }
    }),
  }
  device.submit(io)
  return sent
}

describe('a stack of doubles is a block device', () => {
  const host = virtualHost(1)
  const open = async () => {
    const slow = delayed(createMinimalDevice(undefined, host), { delay: () => host.random() * 3 }, host)
    const sound = failing(slow, { status: Errno.EIO, when: () => false }, host)
    return recording(hanging(sound, {}, host))
  }
  deviceSuite({ describe, it }, { open, has, clock: host.clock })
})

describe('a stack of doubles is a path', () => {
  const host = virtualHost(1)
  const inner = new WeakMap<Path, { array: MinimalArray; path: Path }>()
  const wrap = (array: MinimalArray, path: Path): Path => {
    const front = recording(hanging(delayed(path, { delay: 1 }, host), {}, host))
    inner.set(front, { array, path })
    return front
  }
  const of = (path: Path) => inner.get(path)!
  pathSuite(
    { describe, it },
    {
      async open() {
        const array = createMinimalArray(host)
        const [info] = await array.target.discover()
        return wrap(array, await array.target.connect(info!))
      },
      has: { ...has, activate: true, access: true, grow: true, mediumErrors: true },
      faults: {
        kill: (path) => of(path).array.kill(of(path).path),
        hang: (path) => of(path).array.hang(of(path).path),
        release: (path) => of(path).array.release(of(path).path),
        second: async (path) => wrap(of(path).array, await of(path).array.second(of(path).path)),
        setAccess: (path, access) => of(path).array.setAccess(of(path).path, access),
        grow: (path, size) => of(path).array.grow(of(path).path, size),
        breakMedium: (path, ...range) => of(path).array.breakMedium(of(path).path, ...range),
      },
      clock: host.clock,
    },
  )
})

describe('delayed', () => {
  it('starts Ios late, of the ops that were asked for', async () => {
    const host = virtualHost(1)
    const device = delayed(createMinimalDevice(undefined, host), { delay: 10, ops: [IoOp.Write] }, host)
    const write = send(device, IoOp.Write)
    const read = send(device, IoOp.Read)
    await host.clock.advance(9.9)
    expect([write.outcome, read.outcome]).toEqual([undefined, 0])
    await host.clock.advance(0.1)
    expect(write.outcome).toBe(0)
  })

  it('passes on at once what waits when it is closed', async () => {
    const host = virtualHost(1)
    const device = delayed(createMinimalDevice(undefined, host), { delay: 1e9 }, host)
    const write = send(device, IoOp.Write)
    await device.close()
    expect(write.outcome).toBe(0)
    expect(host.clock.timers).toBe(0)
  })
})

describe('failing', () => {
  it('fails Ios by op, range and condition', async () => {
    const host = virtualHost(1)
    let on = true
    const options = { status: Errno.ENOSPC, ops: [IoOp.Write], range: { offset: 8192, length: 4096 }, when: () => on }
    const device = failing(createMinimalDevice(undefined, host), options, host)
    const writes = [4096, 8192, 12_288].map((offset) => send(device, IoOp.Write, offset))
    const read = send(device, IoOp.Read, 8192)
    await host.clock.advance(0)
    expect(writes.map(({ outcome }) => outcome)).toEqual([0, Errno.ENOSPC, 0])
    expect(read.outcome).toBe(0)
    on = false
    expect(await send(device, IoOp.Write, 8192).status).toBe(0)
  })

  it('is closed when what it fails is done', async () => {
    const { clock, random } = virtualHost(1)
    const late = { clock: { ...clock, defer: (call: () => void) => void setImmediate(call) }, random }
    const device = failing(createMinimalDevice(), { status: Errno.EIO }, late)
    const write = send(device, IoOp.Write)
    await device.close()
    expect(write.outcome).toBe(Errno.EIO)
  })

  it('fails a share of the Ios, the same ones for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const host = virtualHost(seed)
      const device = failing(createMinimalDevice(undefined, host), { status: Errno.EIO | PATH_ERROR, rate: 0.25 }, host)
      const statuses: IoStatus[] = []
      for (let i = 0; i < 400; i++) statuses.push(await send(device, IoOp.Read).status)
      expect(statuses.every((status) => status === 0 || isPathError(status))).toBe(true)
      return statuses.map((status) => (status === 0 ? '.' : 'x')).join('')
    }
    const first = await run(1)
    expect(await run(1)).toBe(first)
    expect(await run(2)).not.toBe(first)
    const failed = first.replaceAll('.', '').length
    expect(failed).toBeGreaterThan(60)
    expect(failed).toBeLessThan(140)
  })
})

describe('hanging', () => {
  it('holds Ios until they are released', async () => {
    const host = virtualHost(1)
    const device = hanging(createMinimalDevice(undefined, host), { ops: [IoOp.Write] }, host)
    expect(await send(device, IoOp.Write).status).toBe(0)
    device.hang()
    const [write, read] = [send(device, IoOp.Write), send(device, IoOp.Read)]
    await host.clock.advance(1e6)
    expect([device.held, write.outcome, read.outcome]).toEqual([1, undefined, 0])
    device.release()
    expect(await write.status).toBe(0)
    expect(device.held).toBe(0)
  })

  it('ends what it holds with ESHUTDOWN when it is closed', async () => {
    const host = virtualHost(1)
    const device = hanging(createMinimalDevice(undefined, host), {}, host)
    device.hang()
    const write = send(device, IoOp.Write)
    await device.close()
    expect(write.outcome).toBe(Errno.ESHUTDOWN)
  })
})

describe('hanging, before a path', () => {
  it('ends what it holds with PATH_ERROR when the path is closed or goes down, before it says so', async () => {
    const host = virtualHost(1)
    const array = createMinimalArray(host)
    const [info] = await array.target.discover()
    for (const end of ['close', 'kill'] as const) {
      const inner = await array.target.connect(info!)
      const path = hanging(inner, {}, host)
      path.hang()
      const write = send(path, IoOp.Write)
      const told: (IoStatus | undefined)[] = []
      path.events.on('down', () => told.push(write.outcome))
      if (end === 'close') await path.close()
      else array.kill(inner)
      expect(await write.status).toBe(Errno.ESHUTDOWN | PATH_ERROR)
      expect(told).toEqual(end === 'close' ? [] : [write.outcome])
    }
  })
})

describe('recording', () => {
  it('lists what is submitted and done, in order', async () => {
    const host = virtualHost(1)
    const device = recording(delayed(createMinimalDevice(undefined, host), { delay: 1, ops: [IoOp.Write] }, host))
    send(device, IoOp.Write, 4096)
    send(device, IoOp.Flush)
    await host.clock.advance(2)
    expect(device.log.map(({ event, op, offset, status }) => [event, op, offset, status])).toEqual([
      ['submit', IoOp.Write, 4096, undefined],
      ['submit', IoOp.Flush, 0, undefined],
      ['done', IoOp.Flush, 0, 0],
      ['done', IoOp.Write, 4096, 0],
    ])
  })
})
