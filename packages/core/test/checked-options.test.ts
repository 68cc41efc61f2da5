import { expect, it } from 'vitest'
import type { MultipathOptions, Rates } from '../src/index.ts'
import { userDevice } from '../src/index.ts'
import { open } from './support/rig.ts'

it.each([
  ['flapping', null],
  ['slow', 5],
  ['priorities', [1]],
  ['weights', null],
])('%s that is %j is told by its name', async (field, value) => {
  const multipath = { [field]: value } as unknown as MultipathOptions
  await expect(open(1, { multipath })).rejects.toThrow(new RegExp(`^${field} is .*; it must be an object$`))
})

it.each([null, 5, [1]])('rates that are %j are told by their name', async (rates) => {
  const { device, host } = await open(1)
  const front = userDevice(device, host.clock) as unknown as { setRates(rates: Rates): void }
  expect(() => front.setRates(rates as unknown as Rates)).toThrow(/^rates is .*; it must be an object$/)
})
