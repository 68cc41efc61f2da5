import { describe, expect, test } from 'vitest'
import { decodeController } from '../../src/nvme/controller-data.ts'
import { decodeNamespace } from '../../src/nvme/namespace-data.ts'
import type { ControllerLimits } from '../../src/unit/controller-limits.ts'
import { diskOf } from '../../src/unit/disk.ts'
import { controllerBytes, namespaceBytes } from '../nvme/layouts.ts'

const MIB = 1024 * 1024
const options = { queueDepth: 256, maxTransfer: MIB }

function limits(changes: Partial<ControllerLimits> = {}, change?: (bytes: Uint8Array) => void): ControllerLimits {
  return {
    controller: decodeController(controllerBytes(change)),
    transfer: Infinity,
    zeroes: Infinity,
    deallocate: { ranges: 0, rangeBlocks: 0, blocks: 0 },
    ...changes,
  }
}

function disk(form: Parameters<typeof namespaceBytes>[0], change?: (bytes: Uint8Array) => void, of = limits()) {
  const bytes = namespaceBytes(form)
  change?.(bytes)
  return diskOf({ data: decodeNamespace(bytes) }, of, true, options)
}

describe('what a namespace can do', () => {
  test.each([
    [9, 512],
    [12, 4096],
  ])('size and blocks of 2 ** %i bytes', (shift, blockSize) => {
    const { limits: made } = disk({ blocks: 1000, shift })
    expect(made).toMatchObject({ size: 1000 * blockSize, blockSize, fua: true, writeCache: true, readOnly: false })
    expect(made).toMatchObject({ trim: true, writeZeroes: true, preferredBlockSize: blockSize })
  })

  test('queue depth is not more than the controller takes', () => {
    expect(disk({}).limits.queueDepth).toBe(128)
    const told = (bytes: Uint8Array): void => void bytes.fill(0, 514, 516)
    expect(disk({}, undefined, limits({}, told)).limits.queueDepth).toBe(256)
  })

  test('commands that a controller does not have are not offered', () => {
    const none = (bytes: Uint8Array): void => void bytes.fill(0, 520, 522)
    expect(disk({}, undefined, limits({}, none)).limits).toMatchObject({ trim: false, writeZeroes: false })
  })

  test('write protection', () => {
    expect(disk({}, (bytes) => void (bytes[99] = 1)).limits.readOnly).toBe(true)
  })
})

describe('the largest transfer', () => {
  const boundary = (blocks: number) => (bytes: Uint8Array) => {
    bytes[46] = blocks & 0xff
    bytes[47] = blocks >> 8
  }

  test.each<[string, number, number, number]>([
    ['is what the options say', Infinity, 0, MIB],
    ['is what the controller takes where that is less', 64 * 1024, 0, 64 * 1024],
    ['is a multiple of what is between two boundaries', MIB, 96, Math.floor(2048 / 96) * 96 * 512],
    ['is a part of what is between two boundaries where that is more', 64 * 1024, 192, 96 * 512],
    ['is not cut small by boundaries that it does not fit', 64 * 1024, 131, 64 * 1024],
  ])('%s', (_what, transfer, blocks, bytes) => {
    expect(disk({}, boundary(blocks), limits({ transfer })).limits.maxTransfer).toBe(bytes)
  })

  test('is not more than 65536 blocks', () => {
    const wide = { queueDepth: 1, maxTransfer: 256 * MIB }
    const { limits: made } = diskOf({ data: decodeNamespace(namespaceBytes({})) }, limits(), true, wide)
    expect(made.maxTransfer).toBe(65_536 * 512)
  })
})

describe('limits of ranges', () => {
  test('are those that the controller tells', () => {
    const told = limits({ zeroes: 128 * 1024, deallocate: { ranges: 4, rangeBlocks: 1000, blocks: 3000 } })
    expect(disk({}, undefined, told).ranges).toMatchObject({
      maxRanges: 4,
      maxRangeBlocks: 1000,
      maxTrimBlocks: 3000,
      maxZeroBlocks: 256,
    })
  })

  test('are those of the commands where it tells none', () => {
    expect(disk({}).ranges).toMatchObject({ maxRanges: 256, maxRangeBlocks: 0xffff_ffff, maxZeroBlocks: 65_536 })
  })

  test('zeroing deallocates only where that reads as zeroes, and may be asked for', () => {
    const made = (dlfeat: number) => disk({}, (bytes) => void (bytes[33] = dlfeat)).ranges.zeroesDeallocate
    expect([0b0001, 0b1000, 0b1010, 0b1001].map(made)).toEqual([false, false, false, true])
  })
})
