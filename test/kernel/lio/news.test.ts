import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError, Errno, errnoOf, IoOp, userDevice } from '@blockbraid/core'
import { submit } from '../guest/submit.ts'
import { unsupported } from '../guest/unsupported.ts'
import { until } from '../guest/wait.ts'
import { ALICE, find, MIB, openAllPaths, openBed, openPath } from './bed.ts'

test('a volume that grew: the new size reaches the device', async (t) => {
  await using bed = openBed({ luns: [{ kind: 'disk', size: 8 * MIB }] })
  const target = bed.initiator()
  const device = await openAllPaths(target)
  assert.equal(device.limits.size, 8 * MIB)
  bed.volumes[0]!.storage.grow(16 * MIB)
  const infos = await target.discover()
  assert.deepEqual(
    infos.map(({ size }) => size),
    [16 * MIB, 16 * MIB],
  )
  await until('the device has the new size', () => device.limits.size === 16 * MIB)
  unsupported(t, 'a unit attention when a volume grows', 'it is seen at the next rescan')
  await device.close()
})

test('a volume over a file keeps the size that it was made with', async (t) => {
  await using bed = openBed()
  bed.volumes[0]!.storage.grow(32 * MIB)
  const path = await openPath(bed.initiator())
  assert.equal(path.limits.size, 16 * MIB)
  unsupported(t, 'growing a fileio volume over a file', 'READ CAPACITY keeps saying what it was made with')
  await path.close()
})

test('a new LUN is announced, and the next discovery finds it', async () => {
  await using bed = openBed()
  const target = bed.initiator()
  const news: string[] = []
  target.events?.on('changed', (why) => news.push(why))
  const path = await openPath(target)
  bed.lio.addLun(1, bed.addVolume())
  await until('the array says that LUNs have changed', () => news.length > 0)
  const luns = (await target.discover()).map(({ lun }) => lun).sort()
  assert.deepEqual(luns, ['0', '0', '1', '1'])
  const added = await openPath(target, 1)
  assert.equal(added.volume, bed.ids[1])
  await Promise.all([path.close(), added.close()])
})

test('a LUN that was taken away is no longer listed, and the others stay', async () => {
  await using bed = openBed({ luns: [{}, {}] })
  const target = bed.initiator()
  const paths = [await openPath(target, 0), await openPath(target, 1)]
  await bed.lio.removeLun(1)
  assert.deepEqual(
    (await target.discover()).map(({ lun }) => lun),
    ['0', '0'],
  )
  await Promise.all(paths.map((path) => path.close()))
})

for (const busy of [true, false]) {
  const name = `another volume under the old number is never used for the old one: ${busy ? 'under load' : 'idle'}`
  test(name, async () => {
    await using bed = openBed({ luns: [{}, {}] })
    const target = bed.initiator()
    const info = await find(target, 1)
    const device = await openAllPaths(target, 1, undefined, { noPathTimeout: 1000 })
    const user = userDevice(device)
    let on = busy
    const load = (async () => {
      while (on) await user.read(0, 4096).catch(() => {})
    })()
    await bed.lio.removeLun(1)
    if (busy) await until('the load has met the gap', () => device.paths.every(({ state }) => state !== 'up'))
    bed.lio.addLun(1, bed.addVolume())
    await until('no path of the device is up', () => device.paths.every(({ state }) => state !== 'up'))
    await until('the reason names the new volume', () =>
      device.paths.every(({ reason }) => reason.includes(bed.ids[2]!)),
    )
    await assert.rejects(target.connect(info), (error) => BlockError.is(error) && error.code === 'IDENTITY_CHANGED')
    on = false
    await user.close()
    await load
  })
}

test('another volume under the old number, told by nobody, takes writes of a busy path for about one poll', async (t) => {
  await using bed = openBed({ luns: [{}, {}] })
  const pollInterval = 2000
  const path = await openPath(bed.initiator({ pollInterval }), 1)
  const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
  const write = (): Promise<number> => submit(path, IoOp.Write, 0, 4096, 0xbb)
  const begun = performance.now()
  while (performance.now() - begun < pollInterval / 2) assert.equal(await write(), 0)
  // No command meets the gap, and LIO has no unit attention for this.
  await bed.lio.removeLun(1)
  bed.lio.addLun(1, bed.addVolume())
  const exchanged = performance.now()
  let wrong = 0
  while ((await write()) === 0) wrong++
  const window = performance.now() - exchanged
  const error = await down
  assert.ok(BlockError.is(error) && error.code === 'IDENTITY_CHANGED', error.message)
  t.diagnostic(`${wrong} writes went to the other volume, in ${Math.round(window)} ms`)
  // It was looked for at each sixth poll once.
  assert.ok(window < 3 * pollInterval, `${window} ms`)
  await path.close()
})

test('a LUN that becomes write-protected is read-only from the first write that is refused', async (t) => {
  await using bed = openBed()
  const target = bed.initiator()
  const path = await openPath(target)
  assert.equal(path.limits.readOnly, false)
  bed.lio.protect(0, ALICE, true)
  assert.equal(errnoOf(await submit(path, IoOp.Write, 0, 512)), Errno.EROFS)
  await until('the path says that it is read-only', () => path.limits.readOnly)
  unsupported(t, 'a unit attention when write protection changes', 'it is seen at the first write or at a reconnect')
  await path.close()
})
