import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError, Errno, errnoOf, IoOp, isPathError } from '@blockbraid/core'
import { createRandom, pattern, patternFault } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { unsupported } from '../guest/unsupported.ts'
import { ALICE, MIB, openBed, openDevice, openPath } from './bed.ts'

const kinds = {
  'a file of 512-byte blocks': { kind: 'file', blockSize: 512 },
  'a file of 4096-byte blocks': { kind: 'file', blockSize: 4096 },
  'a ramdisk of 512-byte blocks': { kind: 'ram', blockSize: 512 },
  'a ramdisk of 4096-byte blocks': { kind: 'ram', blockSize: 4096 },
  'a disk of 512-byte blocks': { kind: 'disk', blockSize: 512 },
  'a disk of 4096-byte blocks': { kind: 'disk', blockSize: 4096 },
} as const

for (const [name, volume] of Object.entries(kinds)) {
  test(`what is written is read back, many at once, on ${name}`, async () => {
    await using bed = openBed({ luns: [volume] })
    const device = await openDevice(bed.initiator())
    assert.equal(device.limits.blockSize, volume.blockSize)
    assert.equal(device.limits.size, 16 * MIB)
    const seed = 20261122
    const random = createRandom(seed)
    const slot = 16 * 4096
    const writes = Array.from({ length: 192 }, (_, at) => {
      const length = 4096 * (1 + Math.floor(random() * 16))
      return { length, stamp: { seed, offset: at * slot, generation: at } }
    })
    await Promise.all(writes.map(({ length, stamp }) => device.write(stamp.offset, pattern(length, stamp))))
    await device.flush()
    const faults = await Promise.all(
      writes.map(async ({ length, stamp }) => patternFault(await device.read(stamp.offset, length), stamp)),
    )
    assert.deepEqual(
      faults.filter((fault) => fault !== undefined),
      [],
      `seed ${seed}`,
    )
    if (volume.kind === 'file') {
      for (const { length, stamp } of writes) {
        assert.equal(patternFault(bed.volumes[0]!.storage.peek(stamp.offset, length), stamp), undefined)
      }
    }
    await device.close()
  })
}

test('the first and the last block, and nothing past the end', async () => {
  await using bed = openBed({ luns: [{ blockSize: 4096 }] })
  const device = await openDevice(bed.initiator())
  const { size } = device.limits
  for (const offset of [0, size - 4096]) {
    const stamp = { seed: 1, offset, generation: 1 }
    await device.write(offset, pattern(4096, stamp))
    assert.equal(patternFault(bed.volumes[0]!.storage.peek(offset, 4096), stamp), undefined)
  }
  assert.equal(await submit(await openPath(bed.initiator({ name: 'raw' })), IoOp.Read, size - 4096, 4096), 0)
  await assert.rejects(device.write(size, Buffer.alloc(4096)), RangeError)
  await device.close()
})

test('the array refuses a range past its end, and the path stays', async () => {
  await using bed = openBed()
  const path = await openPath(bed.initiator())
  const status = await submit(path, IoOp.Read, path.limits.size, 512)
  assert.notEqual(status, 0)
  assert.equal(isPathError(status), false, String(status))
  assert.equal(await submit(path, IoOp.Read, 0, 512), 0)
  await path.close()
})

test('larger transfers than the volume takes are split: a disk that takes 160 KiB', async () => {
  await using bed = openBed({ luns: [{ kind: 'disk' }] })
  const device = await openDevice(bed.initiator())
  const most = Number(bed.volumes[0]!.attribute('hw_max_sectors')) * 512
  assert.ok(device.limits.maxTransfer <= most, `${device.limits.maxTransfer} is more than ${most}`)
  const stamp = { seed: 5, offset: 512, generation: 1 }
  await device.write(stamp.offset, pattern(4 * MIB, stamp))
  assert.equal(patternFault(await device.read(stamp.offset, 4 * MIB), stamp), undefined)
  await device.close()
})

test('flush and forced unit access reach a volume with a write cache', async () => {
  await using bed = openBed()
  const device = await openDevice(bed.initiator())
  assert.equal(device.limits.writeCache, true)
  assert.equal(device.limits.fua, true)
  const stamp = { seed: 6, offset: 8192, generation: 1 }
  await device.write(stamp.offset, pattern(4096, stamp), { fua: true })
  await device.flush()
  assert.equal(patternFault(bed.volumes[0]!.storage.peek(stamp.offset, 4096), stamp), undefined)
  await device.close()
})

test('a volume without a write cache says so', async (t) => {
  await using bed = openBed({ luns: [{ kind: 'ram', size: 8 * MIB }] })
  const device = await openDevice(bed.initiator())
  assert.equal(device.limits.writeCache, false)
  await device.flush()
  unsupported(t, 'a write cache on a ramdisk', 'MODE SENSE says WCE=0; a flush has nothing to do')
  await device.close()
})

test('a LUN that is write-protected is read-only, and a write that comes all the same is refused', async () => {
  await using bed = openBed()
  bed.lio.protect(0, ALICE, true)
  const path = await openPath(bed.initiator())
  assert.equal(path.limits.readOnly, true)
  assert.equal(await submit(path, IoOp.Read, 0, 512), 0)
  const status = await submit(path, IoOp.Write, 0, 512)
  assert.equal(errnoOf(status), Errno.EROFS)
  assert.equal(isPathError(status), false)
  const device = await openDevice(bed.initiator({ name: 'checked' }))
  await assert.rejects(
    device.write(0, Buffer.alloc(512)),
    (error) => BlockError.is(error) && error.errno === Errno.EPERM,
  )
  await Promise.all([path.close(), device.close()])
})
