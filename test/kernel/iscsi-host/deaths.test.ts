import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../guest/wait.ts'
import { isOver, load, loadFiles } from '../judges/load.ts'
import { mount, tool } from '../node/tools.ts'
import type { Bed } from './bed.ts'
import { allReady, openBed, PORTALS } from './bed.ts'
import { hostPaths } from './multipath.ts'

const ways: [string, (bed: Bed, at: number) => unknown, (bed: Bed, at: number) => unknown][] = [
  ['are shut and refuse', (bed, at) => bed.array.portals[at]!.down(), (bed, at) => bed.array.portals[at]!.up()],
  ['reset their connections', (bed, at) => bed.array.portals[at]!.reset(), () => {}],
  [
    'fall silent',
    (bed, at) => bed.array.portals[at]!.blackhole(true),
    (bed, at) => bed.array.portals[at]!.blackhole(false),
  ],
]

for (const [name, die, live] of process.env['BLOCKBRAID_SHORT'] === undefined ? ways : ways.slice(0, 1)) {
  test(`fio verify on a filesystem goes on while portals ${name}, in turn`, async () => {
    await using bed = await openBed({
      storage: { volumes: [{ size: '64MiB', blockSize: 512 }], latency: { base: 300, jitter: 300 } },
      settings: { 'node.conn[0].timeo.noop_out_interval': 2, 'node.conn[0].timeo.noop_out_timeout': 5 },
    })
    await tool('mkfs.ext4', '-q', bed.map)
    let turns = 0
    {
      await using mounted = await mount(bed.map)
      const work = loadFiles(mounted.folder)
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
