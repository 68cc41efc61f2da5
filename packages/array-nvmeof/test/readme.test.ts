import { memory } from '@blockbraid/target-memory'
import { expect, it } from 'vitest'
import { nvmeofArrayOf } from '../src/index.ts'

it('an array of a target, as in the README', async () => {
  const target = memory({ volumes: [{ size: '64MiB' }], ports: 2 })
  const array = await nvmeofArrayOf(target, { name: 'iqn.2026-11.io.blockbraid:array0' })
  expect(array.portals.map(({ address }) => address)).toHaveLength(2)
  target.array.setAccess(0, { port: 0 }, 'standby')
  const rule = array.faults.wire({ pdu: 'dataIn', corrupt: 20, count: 1 })
  array.faults.command({ opcode: 0x2a, status: 2, sense: 0x0b_0000, count: 3 })
  expect(rule.hits).toBe(0)
  await array.close()
})
