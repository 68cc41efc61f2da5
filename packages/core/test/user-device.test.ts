import { describe, expect, it } from 'vitest'
import type { BlockDevice, DeviceLimits, Io } from '../src/index.ts'
import { BlockError, Errno, IoFlag, IoOp, NO_BUFFERS, OK, userDevice } from '../src/index.ts'
import { LIMITS } from './support/fake-target.ts'
import { send } from './support/submit.ts'

interface Call {
  op: number
  flags: number
  offset: number
  length: number
}

/** A device over one byte array that logs what reaches it. */
function bytes(limits: Partial<DeviceLimits> = {}): {
  device: BlockDevice
  data: Uint8Array
  calls: Call[]
  fail: Map<number, number>
} {
  const merged = { ...LIMITS, ...limits }
  const data = new Uint8Array(merged.size).map((_, index) => index % 251)
  const calls: Call[] = []
  const fail = new Map<number, number>()
  const ending: (() => void)[] = []
  const device: BlockDevice = {
    limits: merged,
    submit(io: Io) {
      calls.push({ op: io.op, flags: io.flags, offset: io.offset, length: io.length })
      let status: number = fail.get(io.offset) ?? OK
      if (io.op === IoOp.Read) {
        if (io.buffers.length === 0) io.buffers = [data.subarray(io.offset, io.offset + io.length)]
        else {
          let at = io.offset
          for (const view of io.buffers) {
            view.set(data.subarray(at, at + view.length))
            at += view.length
          }
        }
      } else if (io.op === IoOp.Write) {
        let at = io.offset
        for (const view of io.buffers) {
          data.set(view, at)
          at += view.length
        }
        if (at !== io.offset + io.length) status = Errno.EINVAL
      }
      ending.push(() => io.done(io, status))
      // Last in, first out: whoever puts pieces together must not count on their order.
      setImmediate(() => ending.pop()?.())
    },
    close: async () => {},
  }
  return { device, data, calls, fail }
}

describe('ranges', () => {
  const cases: [string, number, number, number, number][] = [
    ['unaligned offset', IoOp.Read, 1, 512, Errno.EINVAL],
    ['unaligned length', IoOp.Read, 0, 511, Errno.EINVAL],
    ['negative offset', IoOp.Read, -512, 512, Errno.EINVAL],
    ['fraction', IoOp.Read, 0.5, 512, Errno.EINVAL],
    ['not a number', IoOp.Read, Number.NaN, 512, Errno.EINVAL],
    ['read one past the end', IoOp.Read, LIMITS.size, 512, Errno.EINVAL],
    ['write one past the end', IoOp.Write, LIMITS.size, 512, Errno.ENOSPC],
    ['write across the end', IoOp.Write, LIMITS.size - 512, 1024, Errno.ENOSPC],
    ['zeroes across the end', IoOp.WriteZeroes, LIMITS.size - 512, 1024, Errno.ENOSPC],
    ['trim across the end', IoOp.Trim, LIMITS.size - 512, 1024, Errno.EINVAL],
    ['beyond 2 ** 32, unaligned', IoOp.Read, 2 ** 33 + 1, 512, Errno.EINVAL],
    ['unknown op', 17, 0, 512, Errno.EINVAL],
    ['nothing at all', IoOp.Read, 0, 0, OK],
    ['the last block', IoOp.Read, LIMITS.size - 512, 512, OK],
  ]
  for (const [name, op, offset, length, status] of cases) {
    it(`${name}: ${status === OK ? 'served' : `errno ${status}`}, never inside submit`, async () => {
      const { device, calls } = bytes()
      const sent = send(userDevice(device), op as 0, offset, length)
      expect(sent.status).toBeUndefined()
      expect(await sent.ended).toBe(status)
      expect(calls.length).toBe(status === OK && length > 0 ? 1 : 0)
    })
  }

  it('refuses what changes data on a read-only device with EPERM', async () => {
    const { device, calls } = bytes({ readOnly: true })
    const user = userDevice(device)
    for (const op of [IoOp.Write, IoOp.Trim, IoOp.WriteZeroes]) expect(await send(user, op).ended).toBe(Errno.EPERM)
    expect(calls).toEqual([])
  })

  it('passes 2 ** 53 - blockSize without losing a bit', async () => {
    const { device, calls } = bytes()
    const huge = { ...device, limits: { ...LIMITS, size: 2 ** 53 - 512 } }
    await send(userDevice({ ...huge, submit: (io) => device.submit(io) }), IoOp.Trim, 2 ** 53 - 1024, 512).ended
    expect(calls[0]?.offset).toBe(2 ** 53 - 1024)
  })
})

describe('splitting', () => {
  it('reads 1 MiB through 64 KiB transfers into given views', async () => {
    const { device, data, calls } = bytes()
    const got = await userDevice(device).read(0, LIMITS.size)
    expect(Buffer.compare(got, data)).toBe(0)
    expect(calls.length).toBe(16)
    expect(Math.max(...calls.map(({ length }) => length))).toBe(65536)
  })

  it('puts views that the device supplies in order', async () => {
    const { device, data } = bytes()
    const user = userDevice(device)
    const sent = send(user, IoOp.Read, 512, 200 * 1024)
    await sent.ended
    const again = send(user, IoOp.Flush)
    await again.ended
    sent.io.buffers = NO_BUFFERS
    const ended = new Promise((resolve) => (sent.io.done = (_io, status) => resolve(status)))
    user.submit(sent.io)
    expect(await ended).toBe(OK)
    expect(Buffer.compare(Buffer.concat(sent.io.buffers), data.subarray(512, 512 + 200 * 1024))).toBe(0)
  })

  it('cuts the views of a write where transfers end', async () => {
    const { device, data } = bytes()
    const user = userDevice(device)
    const parts = [1000, 65536, 70000, 20, 67220].map((length, index) => new Uint8Array(length).fill(index + 1))
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    const sent = send(user, IoOp.Flush)
    await sent.ended
    Object.assign(sent.io, { op: IoOp.Write, offset: 1024, length, buffers: parts })
    const ended = new Promise((resolve) => (sent.io.done = (_io, status) => resolve(status)))
    user.submit(sent.io)
    expect(await ended).toBe(OK)
    expect(Buffer.compare(data.subarray(1024, 1024 + length), Buffer.concat(parts))).toBe(0)
  })

  it('ends with the first error, once, after all its pieces', async () => {
    const { device, fail } = bytes()
    fail.set(65536, Errno.ENODATA)
    const sent = send(userDevice(device), IoOp.Read, 0, LIMITS.size)
    expect(await sent.ended).toBe(Errno.ENODATA)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(sent.times).toBe(1)
  })
})

describe('emulation', () => {
  it('writes, then flushes, where a device has a cache and no Fua', async () => {
    const { device, calls } = bytes({ fua: false })
    const user = userDevice(device)
    expect(user.limits.fua).toBe(true)
    await user.write(0, new Uint8Array(512), { fua: true })
    expect(calls.map(({ op, flags }) => [op, flags])).toEqual([
      [IoOp.Write, 0],
      [IoOp.Flush, 0],
    ])
  })

  it('does not flush after a write that failed', async () => {
    const { device, calls, fail } = bytes({ fua: false })
    fail.set(0, Errno.EIO)
    await expect(userDevice(device).write(0, new Uint8Array(512), { fua: true })).rejects.toThrow(/EIO/)
    expect(calls.length).toBe(1)
  })

  it('drops Fua and Flush where there is no cache', async () => {
    const { device, calls } = bytes({ fua: false, writeCache: false })
    const user = userDevice(device)
    await user.write(0, new Uint8Array(512), { fua: true })
    await user.flush()
    expect(calls.map(({ op, flags }) => [op, flags])).toEqual([[IoOp.Write, 0]])
  })

  it('keeps Fua on every piece of a split write', async () => {
    const { device, calls } = bytes()
    await userDevice(device).write(0, new Uint8Array(200 * 1024), { fua: true })
    expect(calls.map(({ op, flags }) => [op, flags])).toEqual(Array(4).fill([IoOp.Write, IoFlag.Fua]))
  })

  it('writes zeroes where WriteZeroes is missing, in transfers, with Fua kept', async () => {
    const { device, data, calls } = bytes({ writeZeroes: false })
    await userDevice(device).writeZeroes(512, 150 * 1024, { fua: true, noUnmap: true })
    expect(data.subarray(512, 512 + 150 * 1024).every((byte) => byte === 0)).toBe(true)
    expect(data[511]).toBe(511 % 251)
    expect(data[512 + 150 * 1024]).toBe((512 + 150 * 1024) % 251)
    expect(calls.every(({ op, flags }) => op === IoOp.Write && flags === IoFlag.Fua)).toBe(true)
  })

  it('refuses FastZero at once where zeroes would be written', async () => {
    const { device, calls } = bytes({ writeZeroes: false })
    const error = await userDevice(device)
      .writeZeroes(0, 512, { fastZero: true })
      .catch((error: unknown) => error)
    expect(BlockError.is(error) && error.errno).toBe(Errno.EOPNOTSUPP)
    expect(calls).toEqual([])
  })

  it('flushes after a trim with Fua, and passes no Fua with it', async () => {
    const { device, calls } = bytes()
    expect(await send(userDevice(device), IoOp.Trim, 0, 512 * 1024, IoFlag.Fua).ended).toBe(OK)
    expect(calls.map(({ op, flags, length }) => [op, flags, length])).toEqual([
      [IoOp.Trim, 0, 512 * 1024],
      [IoOp.Flush, 0, 0],
    ])
  })

  it('accepts trim where a device has none, and does nothing', async () => {
    const { device, calls } = bytes({ trim: false })
    await userDevice(device).trim(0, 4096)
    expect(calls).toEqual([])
  })
})

describe('promises', () => {
  it('name the field, the value and what would be right', async () => {
    const user = userDevice(bytes().device)
    await expect(user.read(3, 512)).rejects.toThrow('offset is 3; it must be a multiple of the block size, 512 bytes')
    await expect(user.write(0, new Uint8Array(100))).rejects.toThrow('length is 100')
    await expect(user.read(LIMITS.size, 512)).rejects.toThrow('past the end of the device, 1048576 bytes')
  })

  it('reject with a BlockError that has the errno', async () => {
    const { device, fail } = bytes()
    fail.set(512, Errno.ENODATA)
    const error = await userDevice(device)
      .read(512, 512)
      .catch((error: unknown) => error)
    expect(error).toMatchObject({
      code: 'IO_FAILED',
      errno: Errno.ENODATA,
      message: 'read of 512 bytes at 512 failed: ENODATA',
    })
  })

  it('reject with ABORTED when the signal fires, before or during the I/O', async () => {
    const user = userDevice(bytes().device)
    await expect(user.read(0, 512, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    const controller = new AbortController()
    const reading = user.read(0, 512, { signal: controller.signal })
    controller.abort()
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await user.read(0, 512)).length).toBe(512)
  })

  it('refuse everything after close, which closes the device once', async () => {
    let closes = 0
    const { device } = bytes()
    const user = userDevice({ ...device, close: async () => void closes++ })
    await Promise.all([user.close(), user.close()])
    expect(closes).toBe(1)
    await expect(user.read(0, 512)).rejects.toMatchObject({ errno: Errno.ESHUTDOWN })
  })
})
