import { IoOp } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { Bed } from './support/bed.ts'
import { openBed } from './support/bed.ts'
import { qemuIo, tryQemuIo } from './support/qemu-io.ts'

const KiB = 1024
const CHUNK = 64 * KiB
const SIZE = 1024 * KiB

describe.each([512, 4096] as const)('blocks of %i bytes', (blockSize) => {
  const open = (): Promise<Bed> => openBed({ array: { volumes: [{ size: SIZE, blockSize }], log: true } })
  const filled = async (bed: Bed, byte: number): Promise<void> => {
    await bed.pair.user.write(0, Buffer.alloc(SIZE, byte))
  }
  const edges: readonly [where: string, offset: number, length: number][] = [
    ['the first block', 0, blockSize],
    ['the last block', SIZE - blockSize, blockSize],
    ['the blocks around 64 KiB', CHUNK - blockSize, 2 * blockSize],
    ['from one 64 KiB piece into the third', CHUNK + blockSize, 2 * CHUNK],
    ['all', 0, SIZE],
  ]

  it.each(edges)('writes and reads %s', async (_where, offset, length) => {
    await using bed = await open()
    await filled(bed, 0xee)
    await qemuIo(bed.uri, `write -P 0x5a ${offset} ${length}`, `read -P 0x5a ${offset} ${length}`)
    expectBytes(bed, offset, length, 0x5a, 0xee)
  })

  it.each(edges)('zeroes %s, keeping and giving up blocks', async (_where, offset, length) => {
    await using bed = await open()
    for (const command of ['write -z', 'write -z -u']) {
      await filled(bed, 0xee)
      await qemuIo(bed.uri, `${command} ${offset} ${length}`, `read -P 0 ${offset} ${length}`)
      expectBytes(bed, offset, length, 0, 0xee)
    }
    const zeroes = bed.array.log.filter(({ op }) => op === IoOp.WriteZeroes)
    expect(zeroes.length).toBeGreaterThanOrEqual(2)
  })

  it.each(edges)('discards %s', async (_where, offset, length) => {
    await using bed = await open()
    await filled(bed, 0xee)
    await qemuIo(bed.uri, `discard ${offset} ${length}`)
    const trims = bed.array.log.filter(({ op }) => op === IoOp.Trim)
    expect(trims.map((entry) => [entry.offset, entry.length])).toEqual([[offset, length]])
    expectBytes(bed, offset, length, undefined, 0xee)
  })

  it('refuses what reaches past the end, and changes nothing', async () => {
    await using bed = await open()
    await filled(bed, 0xee)
    const past = [`write -P 1 ${SIZE} ${blockSize}`, `write -P 1 ${SIZE - blockSize} ${2 * blockSize}`]
    const others = [`read ${SIZE} ${blockSize}`, `write -z ${SIZE} ${blockSize}`, `discard ${SIZE} ${blockSize}`]
    for (const command of [...past, ...others]) {
      const { code, stdout, stderr } = await tryQemuIo(bed.uri, command)
      expect(code, command).toBe(1)
      expect(stdout + stderr, command).toMatch(/failed|past the end|Input\/output error/)
    }
    expectBytes(bed, 0, SIZE, 0xee, 0xee)
  })

  it('FUA and flush reach the array', async () => {
    await using bed = await open()
    await qemuIo(bed.uri, `write -f -P 1 0 ${blockSize}`, `write -P 2 ${blockSize} ${blockSize}`, 'flush')
    const [first, second, flush] = bed.array.log
    expect(first).toMatchObject({ op: IoOp.Write, fua: true, offset: 0 })
    expect(second).toMatchObject({ op: IoOp.Write, fua: false, offset: blockSize })
    expect(flush).toMatchObject({ op: IoOp.Flush })
    expect(flush!.submitted).toBeGreaterThan(second!.done)
  })

  it('takes FUA on zeroes too', async () => {
    await using bed = await open()
    await filled(bed, 0xee)
    await qemuIo(bed.uri, `write -z -f 0 ${CHUNK}`)
    expect(bed.array.log.filter(({ op }) => op === IoOp.WriteZeroes)).toMatchObject([{ fua: true, offset: 0 }])
  })

  it('keeps many requests going at once', async () => {
    await using bed = await open()
    const offsets = Array.from({ length: 64 }, (_none, n) => n * 16 * KiB)
    await qemuIo(bed.uri, ...offsets.map((at, n) => `aio_write -P ${n + 1} ${at} 16k`), 'aio_flush')
    for (const [n, at] of offsets.entries()) expectBytes(bed, at, 16 * KiB, n + 1)
  })
})

it('unaligned requests of an application are put together by qemu from the blocks advertised', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE, blockSize: 4096 }] } })
  await qemuIo(
    bed.uri,
    'write -P 0x11 0 8k',
    'write -P 0x22 1000 3000',
    'read -P 0x22 1000 3000',
    'read -P 0x11 0 1000',
  )
  expectBytes(bed, 0, 1000, 0x11)
  expectBytes(bed, 1000, 3000, 0x22)
  expectBytes(bed, 4000, 8192 - 4000, 0x11)
})

/** Checks that a range holds `inside`, where it is given, and all the rest of the volume `outside`. */
function expectBytes(bed: Bed, offset: number, length: number, inside?: number, outside?: number): void {
  const all = bed.array.peek(0, 0, SIZE)
  if (inside !== undefined) expect(only(all.subarray(offset, offset + length))).toEqual([inside])
  if (outside === undefined) return
  const rest = Buffer.concat([all.subarray(0, offset), all.subarray(offset + length)])
  expect(rest.length === 0 ? [outside] : only(rest)).toEqual([outside])
}

function only(bytes: Uint8Array): number[] {
  return [...new Set(bytes)]
}
