import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { isOver, load } from '../judges/load.ts'
import { judge } from '../judges/root.ts'
import { openBed, PORTALS } from './bed.ts'
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

function accessState(disk: string): string {
  return readFileSync(`/sys/block/${disk}/device/access_state`, 'utf8').trim()
}
