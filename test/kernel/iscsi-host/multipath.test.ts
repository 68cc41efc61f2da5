import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../guest/wait.ts'
import { judge } from '../judges/root.ts'
import type { Running } from '../node/tools.ts'
import { fio, mount, tool } from '../node/tools.ts'
import type { Bed } from './bed.ts'
import { allReady, MIB, openBed, PORTALS } from './bed.ts'
import { hostPaths } from './multipath.ts'

test('one map over both portals, and every access state is seen by the kernel and by multipathd', async () => {
  await using bed = await openBed()
  const paths = await hostPaths(bed.wwid)
  assert.deepEqual(
    paths.map(({ priority, used }) => ({ priority, used })),
    [
      { priority: 50, used: true },
      { priority: 50, used: true },
    ],
  )
  for (const [access, word, priority, check] of [
    ['non-optimized', 'active/non-optimized', 10, 'ready'],
    ['standby', 'standby', 1, 'ghost'],
    ['optimized', 'active/optimized', 50, 'ready'],
  ] as const) {
    bed.storage.setAccess(0, { port: 1 }, access)
    await until(`multipathd knows that the path is ${access}`, async () => {
      const path = await bed.path(PORTALS[1])
      return path?.priority === priority && path.check === check
    })
    await until('the kernel knows it', () => accessState(bed.disk(PORTALS[1])) === word)
    assert.equal((await bed.path(PORTALS[0]))?.group, 1)
  }
  const words = await judge('sg_rtpg', '--decode', `/dev/${bed.disk(PORTALS[0])}`)
  assert.match(
    words,
    /target port group id : 0x1 , Pref=\d, Rtpg_fmt=0\n\s+target port group asymmetric access state : 0x00/,
  )
  assert.deepEqual(bed.array.violations, [])
})

test('fio verify goes on while the array moves a volume from port to port', async () => {
  await using bed = await openBed()
  const work = load(bed.map)
  let at = 0
  while (!(await isOver(work))) {
    const better = PORTALS[at % 2]!
    bed.storage.setAccess(0, { port: at % 2 }, 'optimized')
    bed.storage.setAccess(0, { port: 1 - (at % 2) }, at % 4 < 2 ? 'non-optimized' : 'standby')
    await until('the better path is used', async () => (await bed.path(better))?.used === true || (await isOver(work)))
    at++
  }
  await work.done
  assert.ok(at > 1, 'it hardly moved')
  assert.deepEqual(bed.array.violations, [])
})

for (const [name, die, live] of [
  ['are shut and refuse', (bed, at) => bed.array.portals[at]!.down(), (bed, at) => bed.array.portals[at]!.up()],
  ['reset their connections', (bed, at) => bed.array.portals[at]!.reset(), () => {}],
  [
    'fall silent',
    (bed, at) => bed.array.portals[at]!.blackhole(true),
    (bed, at) => bed.array.portals[at]!.blackhole(false),
  ],
] as [string, (bed: Bed, at: number) => unknown, (bed: Bed, at: number) => unknown][]) {
  test(`fio verify on a filesystem goes on while portals ${name}, in turn`, async () => {
    await using bed = await openBed({
      storage: { volumes: [{ size: '64MiB', blockSize: 512 }], latency: { base: 300, jitter: 300 } },
      settings: { 'node.conn[0].timeo.noop_out_interval': 2, 'node.conn[0].timeo.noop_out_timeout': 5 },
    })
    await tool('mkfs.ext4', '-q', bed.map)
    let turns = 0
    {
      await using mounted = await mount(bed.map)
      const work = files(mounted.folder)
      while (!(await isOver(work))) {
        const at = turns % 2
        const { logins } = bed.array.counters
        await die(bed, at)
        await until('the host has lost the path, or has it again', async () => {
          if (bed.array.counters.logins > logins || (await isOver(work))) return true
          return (await bed.path(PORTALS[at]!))?.dm !== 'active'
        })
        await live(bed, at)
        await allReady(bed)
        turns++
      }
      await work.done
    }
    assert.ok(turns > 1, `the portals died ${turns} times`)
    await tool('e2fsck', '-fn', bed.map)
    assert.deepEqual(bed.array.violations, [])
  })
}

test('both portals are gone for a while: the host waits, and nothing fails', async () => {
  await using bed = await openBed()
  const work = load(bed.map)
  await sleep(500)
  await Promise.all(bed.array.portals.map((portal) => portal.down()))
  await until('no path is left', async () => (await hostPaths(bed.wwid)).every(({ dm }) => dm === 'failed'))
  assert.equal(await isOver(work), false)
  await Promise.all(bed.array.portals.map((portal) => portal.up()))
  await work.done
  await allReady(bed)
})

test('a volume that grows, and another that comes and goes, are seen after a rescan', async () => {
  await using bed = await openBed()
  bed.storage.grow(0, '96MiB')
  await judge('iscsiadm', '-m', 'node', '-T', bed.array.name, '--rescan')
  for (const portal of PORTALS) await until('the disk has grown', () => sectors(bed.disk(portal)) === (96 * MIB) / 512)
  await until('the map can grow', async () => (await judge('multipathd', 'resize', 'map', bed.wwid)).includes('ok'))
  await until('the map has grown', async () => Number(await tool('blockdev', '--getsize64', bed.map)) === 96 * MIB)
  const id = bed.storage.addVolume({ size: '32MiB' })
  const wwid = `3${id.replace('naa.', '')}`
  await judge('iscsiadm', '-m', 'node', '-T', bed.array.name, '--rescan')
  await until('it has a map with two paths', async () => (await hostPaths(wwid)).length === 2)
  assert.equal((await tool('blockdev', '--getss', `/dev/mapper/${wwid}`)).trim(), '4096')
  await load(`/dev/mapper/${wwid}`, { bs: '4k', size: '4m' }).done
  bed.storage.unmap(id, 'all')
  await until('its paths have failed', async () => (await hostPaths(wwid)).every(({ check }) => check !== 'ready'))
  assert.ok((await hostPaths(bed.wwid)).every(({ check }) => check === 'ready'))
  assert.deepEqual(bed.array.violations, [])
})

function accessState(disk: string): string {
  return readFileSync(`/sys/block/${disk}/device/access_state`, 'utf8').trim()
}

function sectors(disk: string): number {
  return Number(readFileSync(`/sys/block/${disk}/size`, 'utf8'))
}

/** Writes and verifies a part of a block device. */
function load(filename: string, options: Readonly<Record<string, string | number>> = {}): Running {
  const job = { rw: 'randwrite', bs: '4k', size: '12m', direct: 1, ioengine: 'libaio', iodepth: 16 }
  return fio({ filename, verify: 'crc32c', ...job, ...options }, { load: {} })
}

/** Writes and verifies files, direct and buffered. */
function files(directory: string): Running {
  const shared = { directory, verify: 'crc32c', rw: 'randwrite', size: '6m' }
  return fio(shared, {
    direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8 },
    buffered: { bs: '16k', fsync: 8 },
  })
}

async function isOver(work: Running): Promise<boolean> {
  return await Promise.race([work.ended.then(() => true), sleep(100, false)])
}
