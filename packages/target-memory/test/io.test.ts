import { Errno, IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { createChecksum, memory } from '../src/index.ts'
import { block, flush, read, rig, send, write } from './helpers.ts'

const TiB = 2 ** 40

it('shows what one port wrote on every other', async () => {
  const { open } = rig()
  const paths = [await open(0), await open(1), await open(2), await open(3)]
  for (const [n, path] of paths.entries()) expect(await write(path, n * 8192, block(n + 1)).end).toBe(0)
  for (const path of paths) {
    for (const n of paths.keys()) {
      expect(await read(path, n * 8192, 8192)).toEqual(new Uint8Array([...block(n + 1), ...block(0)]))
    }
  }
})

it('keeps volumes apart', async () => {
  const { open, array } = rig({ volumes: [{ size: '1MiB' }, { size: '1MiB' }] })
  await write(await open(0, 0), 0, block(1)).end
  await write(await open(0, 1), 0, block(2)).end
  expect(array.peek(0, 0, 4096)).toEqual(block(1))
  expect(array.peek(array.volumes[1]!.id, 0, 4096)).toEqual(block(2))
})

it('does a batch without latency in one turn, after submit, in order', async () => {
  const { open } = rig()
  const path = await open(0)
  const sent = [1, 2, 3].map((fill) => write(path, 0, block(fill)))
  const last = send(path, IoOp.Read, 0, [block(0)])
  expect(sent.map(({ status }) => status)).toEqual([undefined, undefined, undefined])
  await last.end
  expect(sent.map(({ status }) => status)).toEqual([0, 0, 0])
  expect(last.io.buffers[0]).toEqual(block(3))
})

it('gives views of its own where none are given, across chunks and holes', async () => {
  const { open } = rig()
  const path = await open(0)
  await write(path, 65_536, block(7, 65_536)).end
  const { io, end } = send(path, IoOp.Read, 61_440, 65_536 + 8192)
  expect(io.buffers).toBe(NO_BUFFERS)
  expect(await end).toBe(0)
  expect(NO_BUFFERS.length).toBe(0)
  expect(Buffer.concat(io.buffers)).toEqual(Buffer.concat([block(0), block(7, 65_536), block(0)]))
  const small = send(path, IoOp.Read, 65_536, 4096)
  await small.end
  await write(path, 65_536, block(8)).end
  expect(small.io.buffers).toEqual([block(8)])
})

it('lets timers run while a loop awaits one I/O after the other', async () => {
  const target = memory()
  const path = await target.connect((await target.discover())[0]!)
  let stopped = false
  setTimeout(() => {
    stopped = true
  })
  let rounds = 0
  for (; !stopped && rounds < 1_000_000; rounds++) await flush(path).end
  expect(rounds).toBeLessThan(1_000_000)
  await target.close()
})

it('refuses what does not fit, and changes on a read-only volume', async () => {
  const { open } = rig({ volumes: [{ size: '1MiB' }, { size: '1MiB', readOnly: true }] })
  const path = await open(0)
  expect(await write(path, 2 ** 20, block(1)).end).toBe(Errno.ENOSPC)
  expect(await send(path, IoOp.Read, 2 ** 20, 4096).end).toBe(Errno.EINVAL)
  const locked = await open(0, 1)
  expect(locked.limits.readOnly).toBe(true)
  for (const op of [IoOp.Write, IoOp.Trim, IoOp.WriteZeroes]) {
    expect(await send(locked, op, 0, op === IoOp.Write ? [block(1)] : 4096).end).toBe(Errno.EPERM)
  }
  expect(await flush(locked).end).toBe(0)
  expect(await read(locked, 0, 4096)).toEqual(block(0))
})

it('costs only what was written, on a volume of a TiB', async () => {
  const { open, array } = rig({ volumes: [{ size: '1TiB' }] })
  const path = await open(0)
  expect(array.volumes[0]!.allocated).toBe(0)
  for (const offset of [0, TiB / 2, TiB - 4096]) expect(await write(path, offset, block(3)).end).toBe(0)
  expect(array.volumes[0]!.allocated).toBe(3 * 65_536)
  expect(await path.extents!(0, TiB)).toEqual([
    { length: 65_536, hole: false, zero: false },
    { length: TiB / 2 - 65_536, hole: true, zero: true },
    { length: 65_536, hole: false, zero: false },
    { length: TiB / 2 - 2 * 65_536, hole: true, zero: true },
    { length: 65_536, hole: false, zero: false },
  ])
  const kept = array.checksum(0)
  expect(await send(path, IoOp.WriteZeroes, 65_536, TiB / 2 - 65_536).end).toBe(0)
  expect(array.checksum(0)).toBe(kept)
  expect(await send(path, IoOp.Trim, 4096, TiB - 8192).end).toBe(0)
  expect(array.volumes[0]!.allocated).toBe(2 * 65_536)
  expect(await send(path, IoOp.Trim, 0, TiB).end).toBe(0)
  expect(array.volumes[0]!.allocated).toBe(0)
  expect(array.checksum(0)).not.toBe(kept)
})

it('zeroes with NoUnmap without freeing', async () => {
  const { open, array } = rig()
  const path = await open(0)
  await write(path, 0, block(1, 131_072)).end
  expect(await send(path, IoOp.WriteZeroes, 0, 131_072, IoFlag.NoUnmap | IoFlag.FastZero).end).toBe(0)
  expect(array.volumes[0]!.allocated).toBe(131_072)
  expect(await read(path, 0, 131_072)).toEqual(block(0, 131_072))
  expect(await send(path, IoOp.WriteZeroes, 0, 131_072).end).toBe(0)
  expect(array.volumes[0]!.allocated).toBe(0)
})

it('sums contents, not allocation, and sums a stream of the same bytes the same', async () => {
  const { open, array } = rig({ volumes: [{ size: 3 * 65_536 + 8192 }, { size: 3 * 65_536 + 8192 }] })
  const size = array.volumes[0]!.size
  const path = await open(0, 0)
  expect(array.checksum(0)).toBe(array.checksum(1))
  await write(path, 65_536, block(0)).end
  expect(array.volumes[0]!.allocated).toBeGreaterThan(0)
  expect(array.checksum(0)).toBe(array.checksum(1))
  await write(path, 65_536 + 4096, block(5)).end
  await write(path, size - 4096, block(6)).end
  expect(array.checksum(0)).not.toBe(array.checksum(1))
  for (const step of [size, 4096, 1000, 65_536, 70_000]) {
    const sum = createChecksum()
    for (let at = 0; at < size; at += step) sum.update(array.peek(0, at, Math.min(step, size - at)))
    expect(sum.digest(), `step ${step}`).toBe(array.checksum(0))
  }
  await write(await open(0, 1), 4096, block(5)).end
  await write(await open(0, 1), size - 4096, block(6)).end
  expect(array.checksum(1), 'the same chunk elsewhere').not.toBe(array.checksum(0))
})

it('says where peek and extents are wrong', async () => {
  const { open, array } = rig()
  expect(() => array.peek(0, 2 ** 20, 1)).toThrow(/1 bytes at 1048576 reach past the end/)
  expect(() => array.peek(0, -1, 1)).toThrow(TypeError)
  expect(() => array.peek(3, 0, 1)).toThrow(/^volume is 3; it must be the identity or the number, below 1, /)
  await expect((await open(0)).extents!(0, 2 ** 21)).rejects.toThrow(TypeError)
})
