import type { IscsiArray } from '@blockbraid/array-iscsi'
import type { MultipathDevice } from '@blockbraid/core'
import { IoOp, OK, openMultipath } from '@blockbraid/core'
import { expect, test } from 'vitest'
import type { BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'

/** Many volumes in one array, and a device for each. */
async function crowd(
  luns: number,
  options: BedOptions = {},
): Promise<{ array: IscsiArray; devices: MultipathDevice[] }> {
  const volumes = Array.from({ length: luns }, () => ({ size: '64KiB' as const, blockSize: 512 as const }))
  const { array, target } = await bed({ memory: { volumes }, ...options })
  const sources = (await target.discover()).map((info) => ({ target, info }))
  const opening = Array.from(
    Map.groupBy(sources, ({ info }) => info.volume),
    ([volume, paths]) => openMultipath(volume, paths),
  )
  const devices = await Promise.all(opening)
  afterwards(async () => {
    await Promise.all(devices.map((device) => device.close({ signal: AbortSignal.abort() })))
  })
  return { array, devices }
}

test.each([
  { luns: 200, sessionPerLun: false },
  { luns: 40, sessionPerLun: true },
])(
  'a portal that refuses logins is asked a few times, though $luns LUNs wait for it; a session for each: $sessionPerLun',
  async ({ luns, sessionPerLun }) => {
    const { array, devices } = await crowd(luns, { initiator: { sessionPerLun, loginTimeout: 20_000 } })
    const refusal = array.faults.login({ action: 'refuse', status: 0x0301 })
    const before = array.counters.connections
    for (const session of array.sessions) session.cut()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const tries = array.counters.connections - before
    expect(tries).toBeGreaterThan(2)
    expect(tries).toBeLessThan(sessionPerLun ? luns + 12 : 12)
    expect(devices.every(({ state }) => state === 'stalled')).toBe(true)
    refusal.remove()
    // By hand it is tried at once, and what one path has found out is known to the others.
    for (const device of devices) device.restorePath(device.paths[0]!.id)
    await expect.poll(() => devices.every(({ state }) => state === 'active'), { timeout: 20_000 }).toBe(true)
    expect(await run(devices[luns - 1]!, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  },
  60_000,
)

test('idle paths ask for news by few commands, and not all at once', async () => {
  const LUNS = 100
  const INTERVAL = 2000
  const INTERVALS = 3
  const { array } = await crowd(LUNS, {
    array: { portals: [{}, {}] },
    initiator: { pollInterval: INTERVAL, taskTimeout: 30_000 },
  })
  const paths = 2 * LUNS
  const sum = () => Object.values(array.counters.commands).reduce((total, count) => total + count, 0)
  const samples: number[] = []
  const begun = performance.now()
  for (let before = sum(); performance.now() - begun < INTERVALS * INTERVAL; ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    samples.push(sum() - before)
    before = sum()
  }
  const total = samples.reduce((all, one) => all + one, 0)
  // News; each second time the two names; each sixth time size and write cache.
  expect(total / paths / INTERVALS).toBeLessThan(3)
  expect(total / paths / INTERVALS).toBeGreaterThan(1)
  expect(Math.max(...samples)).toBeLessThan(paths)
}, 60_000)
