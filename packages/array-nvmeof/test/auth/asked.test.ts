import { expect, it } from 'vitest'
import { bed } from '../beds.ts'
import { DISCOVERY, HOST } from '../host.ts'
import { secretText } from './support/host.ts'

const auth = { hosts: { [HOST]: secretText(Buffer.alloc(32, 3)) } }
const AUTHENTICATION_REQUIRED = 0x191

it('a host that is asked to authenticate and does not gets nothing done', async () => {
  const { dial } = await bed({ auth })
  const host = await dial()
  await host.initialize()
  const connected = await host.connect()
  expect([connected.status, connected.result & 0x7_0000]).toEqual([0, 0x2_0000])
  const refused = [await host.identify(1), await host.setProperty(0x14, 0x46_0001), await host.getFeature(7)]
  expect(refused.map(({ status, dnr }) => [status, dnr])).toEqual(Array(3).fill([AUTHENTICATION_REQUIRED, true]))
})

it('discovery controllers ask nobody', async () => {
  const { dial } = await bed({ auth })
  const host = await dial()
  await host.initialize()
  const connected = await host.connect({ subsystem: DISCOVERY })
  expect([connected.status, connected.result & 0x7_0000]).toEqual([0, 0])
  expect((await host.setProperty(0x14, 0x46_0001)).status).toBe(0)
})
