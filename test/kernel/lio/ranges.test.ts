import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError, Errno } from '@blockbraid/core'
import { unsupported } from '../guest/unsupported.ts'
import { MIB, openBed, openDevice } from './bed.ts'

for (const blockSize of [512, 4096]) {
  test(`trim gives blocks back, ${blockSize}-byte blocks`, async () => {
    await using bed = openBed({ luns: [{ blockSize, size: 64 * MIB }] })
    const volume = bed.volumes[0]!
    const device = await openDevice(bed.initiator())
    assert.equal(device.limits.trim, true)
    await device.write(0, Buffer.alloc(32 * MIB, 0xa5))
    await device.flush()
    const before = volume.storage.allocated()
    assert.ok(before >= 32 * MIB)
    // More than one UNMAP of LIO takes: it says 8192 blocks.
    assert.ok((8 * MIB) / blockSize > Number(volume.attribute('max_unmap_lba_count')) || blockSize === 4096)
    await device.trim(4 * MIB, 24 * MIB)
    assert.ok(
      volume.storage.allocated() <= before - 24 * MIB + 4096,
      `${volume.storage.allocated()} bytes are still allocated`,
    )
    assert.ok(
      volume.storage.peek(0, 4 * MIB).every((byte) => byte === 0xa5),
      'the blocks before it',
    )
    assert.ok(
      volume.storage.peek(28 * MIB, 4 * MIB).every((byte) => byte === 0xa5),
      'the blocks behind it',
    )
    await device.close()
  })

  test(`zeroes are written by the array, ${blockSize}-byte blocks`, async () => {
    await using bed = openBed({ luns: [{ blockSize }] })
    const volume = bed.volumes[0]!
    const device = await openDevice(bed.initiator())
    assert.equal(device.limits.writeZeroes, true)
    await device.write(0, Buffer.alloc(8 * MIB, 0xa5))
    const sent = bed.lio.written(1, 0)
    await device.writeZeroes(blockSize, 6 * MIB)
    // A WRITE SAME carries one block; LIO takes 4096 blocks in each.
    assert.ok(bed.lio.written(1, 0) - sent <= 1, 'zeroes were sent')
    assert.equal((await device.read(0, blockSize))[0], 0xa5)
    assert.ok((await device.read(blockSize, 6 * MIB)).every((byte) => byte === 0))
    assert.ok(volume.storage.peek(blockSize, 6 * MIB).every((byte) => byte === 0))
    assert.equal((await device.read(blockSize + 6 * MIB, blockSize))[0], 0xa5)
    await device.close()
  })
}

test('zeroes that keep their blocks, and durable ones', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  const device = await openDevice(bed.initiator())
  await device.write(0, Buffer.alloc(4 * MIB, 0xa5))
  await device.flush()
  const before = volume.storage.allocated()
  await device.writeZeroes(0, 4 * MIB, { noUnmap: true, fua: true })
  assert.equal(volume.storage.allocated(), before)
  assert.ok(volume.storage.peek(0, 4 * MIB).every((byte) => byte === 0))
  await device.close()
})

test('a ramdisk takes neither trim nor zeroes: core sends zeroes itself', async (t) => {
  await using bed = openBed({ luns: [{ kind: 'ram', size: 8 * MIB }] })
  const device = await openDevice(bed.initiator())
  assert.equal(device.limits.trim, false)
  await device.write(0, Buffer.alloc(2 * MIB, 0xa5))
  await device.trim(0, MIB)
  unsupported(t, 'UNMAP on a ramdisk', 'VPD page B2h says LBPU=0')
  if (device.limits.writeZeroes) assert.fail('LIO has learnt WRITE SAME on ramdisks: test it')
  unsupported(t, 'WRITE SAME on a ramdisk', 'it is not among the supported operation codes')
  await assert.rejects(device.writeZeroes(0, MIB, { fastZero: true }), (error) => {
    return BlockError.is(error) && error.errno === Errno.EOPNOTSUPP
  })
  await device.writeZeroes(0, MIB)
  assert.ok((await device.read(0, MIB)).every((byte) => byte === 0))
  assert.equal((await device.read(MIB, 512))[0], 0xa5)
  await device.close()
})
