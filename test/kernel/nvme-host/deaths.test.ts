import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../guest/wait.ts'
import { isOver, load, loadFiles } from '../judges/load.ts'
import { mount, tool } from '../node/tools.ts'
import type { Bed } from './bed.ts'
import { openBed, PORTALS, spread } from './bed.ts'
import { controllersOf } from './nvme-cli.ts'

const ways: [string, (bed: Bed, at: number) => unknown, (bed: Bed, at: number) => unknown][] = [
  ['are shut and refuse', (bed, at) => bed.array.ports[at]!.down(), (bed, at) => bed.array.ports[at]!.up()],
  ['reset their connections', (bed, at) => bed.array.ports[at]!.reset(), () => {}],
  [
    'fall silent',
    (bed, at) => bed.array.ports[at]!.blackhole(true),
    (bed, at) => bed.array.ports[at]!.blackhole(false),
  ],
]

for (const [name, die, live] of process.env['BLOCKBRAID_SHORT'] === undefined ? ways : ways.slice(0, 1)) {
  test(`fio verify on a filesystem goes on while ports ${name}, in turn`, async () => {
    await using bed = await openBed({
      storage: { volumes: [{ size: '64MiB' }], latency: { base: 300, jitter: 300 } },
      connect: { 'keep-alive-tmo': 3 },
    })
    spread(bed)
    await tool('mkfs.ext4', '-q', bed.node())
    let turns = 0
    {
      await using mounted = await mount(bed.node())
      const work = loadFiles(mounted.folder)
      while (!(await isOver(work))) {
        const at = turns % 2
        const { controllers } = bed.array.counters
        await die(bed, at)
        await until('the kernel has lost the path, or has it again', async () => {
          if (bed.array.counters.controllers > controllers || (await isOver(work, 20))) return true
          return bed.controller(PORTALS[at]!).state !== 'live'
        })
        await live(bed, at)
        await bed.allLive()
        turns++
      }
      await work.done
    }
    assert.ok(turns > 1, `the ports died ${turns} times`)
    await tool('e2fsck', '-fn', bed.node())
    assert.deepEqual(bed.array.violations, [])
  })
}

test('both ports are gone for a while: the host waits, and nothing fails', async () => {
  await using bed = await openBed()
  const work = load(bed.node())
  await sleep(500)
  await Promise.all(bed.array.ports.map((port) => port.down()))
  await until('no path is left', () => controllersOf(bed.array.name).every(({ state }) => state !== 'live'))
  assert.equal(await isOver(work), false)
  await Promise.all(bed.array.ports.map((port) => port.up()))
  await work.done
  await bed.allLive()
})
