import type { MultipathDevice, Target } from '@blockbraid/core'
import { Errno, IoOp, OK, openMultipath } from '@blockbraid/core'
import { expect, test } from 'vitest'
import type { Bed, BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'

const SOON = { timeout: 5000 }
const TWO_PORTALS: BedOptions = { array: { portals: [{}, {}], loginAttention: false } }

/** A volume over two targets of one array, of which only the first asks for news by itself. */
async function openTwo(made: Bed): Promise<MultipathDevice> {
  const [first, second] = made.array.portals.map(({ address }) => address) as [string, string]
  const toldPortals = false
  const targets: Target[] = [
    made.host({ name: 'lively', portals: [first], toldPortals, pollInterval: 20 }),
    made.host({ name: 'quiet', portals: [second], toldPortals }),
  ]
  const sources = await Promise.all(
    targets.map(async (target, portal) => ({ target, info: await made.info(portal, 0, target) })),
  )
  const device = await openMultipath(made.volumes[0]!, sources)
  afterwards(() => device.close({ signal: AbortSignal.timeout(1000) }))
  await expect.poll(() => device.state, SOON).toBe('active')
  return device
}

const write = (device: MultipathDevice) => run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 7)] })

test('growth that one path hears of is asked of the paths of every other target at once', async () => {
  const made = await bed(TWO_PORTALS)
  const device = await openTwo(made)
  made.storage.grow(0, '2MiB')
  await expect.poll(() => device.limits.size, SOON).toBe(2 ** 21)
  expect(device.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(2).fill(['up', 0]))
})

test('write protection that one path hears of is asked of the others, and so is its end', async () => {
  const made = await bed(TWO_PORTALS)
  const device = await openTwo(made)
  expect(await write(device)).toBe(OK)
  made.storage.change(0, { readOnly: true })
  await expect.poll(() => device.limits.readOnly, SOON).toBe(true)
  made.storage.change(0, { readOnly: false })
  await expect.poll(() => device.paths.every(({ reason }) => reason === '') && !device.limits.readOnly, SOON).toBe(true)
  for (let count = 0; count < 4; count++) expect(await write(device)).toBe(OK)
})

test('a write that one portal refuses as write protected goes through the other, whatever MODE SENSE says', async () => {
  const made = await bed(TWO_PORTALS)
  const device = await openTwo(made)
  const refusal = made.array.faults.command({ opcode: 0x2a, portal: 0, status: 2, sense: 0x07_2700 })
  for (let count = 0; count < 4; count++) expect(await write(device)).toBe(OK)
  expect(refusal.hits).toBe(1)
  const everywhere = made.array.faults.command({ opcode: 0x2a, portal: 1, status: 2, sense: 0x07_2700 })
  expect(await write(device)).toBe(Errno.EROFS)
  expect(device.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(2).fill(['up', 0]))
  refusal.remove()
  everywhere.remove()
  expect(await write(device)).toBe(OK)
})
