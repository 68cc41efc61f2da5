import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IoOp, isPathError } from '@blockbraid/core'
import { createRandom, pattern, patternFault } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { MIB, openBed, openDevice, openPath } from './bed.ts'

const kinds = {
  'a file': { kind: 'file' },
  'a disk of 512-byte blocks': { kind: 'disk', blockSize: 512 },
  'a disk of 4096-byte blocks': { kind: 'disk', blockSize: 4096 },
} as const

for (const [name, volume] of Object.entries(kinds)) {
  test(`what is written is read back, many at once, on ${name}`, async () => {
    await using bed = openBed({ namespaces: [volume] })
    const device = await openDevice(bed.initiator())
    if ('blockSize' in volume) assert.equal(device.limits.blockSize, volume.blockSize)
    assert.equal(device.limits.size, 64 * MIB)
    await writeAndRead(device, bed.volumes[0]!.storage.peek)
    await device.close()
  })
}

for (const [name, options, attributes] of [
  ['header digests', { headerDigest: true }, {}],
  ['header and data digests', { headerDigest: true, dataDigest: true }, {}],
  // Less than that, and nvmet takes no Connect either.
  ['1 KiB in the capsule', {}, { param_inline_data_size: 1024 }],
  ['4 KiB in the capsule, digests', { headerDigest: true, dataDigest: true }, { param_inline_data_size: 4096 }],
  ['three queues', { queues: 3 }, {}],
  ['queues of 16 entries', { queueDepth: 128 }, { param_max_queue_size: 16 }],
] as const) {
  test(`what is written is read back with ${name}`, async () => {
    await using bed = openBed({ portAttributes: attributes })
    const device = await openDevice(bed.initiator(options))
    await writeAndRead(device, bed.volumes[0]!.storage.peek)
    await device.close()
  })
}

test('queues are as many as the subsystem gives', async () => {
  await using bed = openBed({ attributes: { attr_qid_max: 2 } })
  const device = await openDevice(bed.initiator({ queues: 8 }))
  await writeAndRead(device, bed.volumes[0]!.storage.peek)
  await device.close()
})

test('the first and the last block, and nothing past the end', async () => {
  await using bed = openBed({ namespaces: [{ blockSize: 4096 }] })
  const path = await openPath(bed.initiator())
  const { size } = path.limits
  assert.equal(await submit(path, IoOp.Write, size - 4096, 4096, 0x5a), 0)
  assert.ok(bed.volumes[0]!.storage.peek(size - 4096, 4096).every((byte) => byte === 0x5a))
  const status = await submit(path, IoOp.Read, size, 4096)
  assert.notEqual(status, 0)
  assert.equal(isPathError(status), false, String(status))
  assert.equal(await submit(path, IoOp.Read, 0, 4096), 0)
  await path.close()
})

test('flush, forced unit access, zeroes and deallocation reach the volume', async () => {
  await using bed = openBed()
  const { storage } = bed.volumes[0]!
  const device = await openDevice(bed.initiator())
  const stamp = { seed: 6, offset: 8192, generation: 1 }
  await device.write(0, pattern(4 * MIB, { seed: 6, offset: 0, generation: 0 }))
  await device.write(stamp.offset, pattern(4096, stamp), { fua: true })
  await device.flush()
  assert.equal(patternFault(storage.peek(stamp.offset, 4096), stamp), undefined)
  await device.writeZeroes(MIB, 65_536)
  assert.ok(storage.peek(MIB, 65_536).every((byte) => byte === 0))
  const before = storage.allocated()
  await device.trim(2 * MIB, MIB)
  assert.ok(storage.allocated() < before)
  await device.close()
})

test('transfers larger than the controller takes are split', async () => {
  await using bed = openBed()
  const device = await openDevice(bed.initiator())
  const stamp = { seed: 5, offset: 512, generation: 1 }
  await device.write(stamp.offset, pattern(8 * MIB, stamp))
  assert.equal(patternFault(await device.read(stamp.offset, 8 * MIB), stamp), undefined)
  await device.close()
})

async function writeAndRead(
  device: Awaited<ReturnType<typeof openDevice>>,
  peek: (offset: number, length: number) => Buffer,
): Promise<void> {
  const seed = 20261126
  const random = createRandom(seed)
  const slot = 64 * 4096
  const writes = Array.from({ length: 128 }, (_, at) => {
    // Most are small; the largest of 256 KiB.
    const length = 4096 * (1 + Math.floor(random() ** 3 * 64))
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
  for (const { length, stamp } of writes) {
    assert.equal(patternFault(peek(stamp.offset, length), stamp), undefined)
  }
}
