import { memory } from '@blockbraid/target-memory'
import { expect, it } from 'vitest'
import { nvmeArrayOf } from '../src/index.ts'

it('an array of a target, as in the README', async () => {
  const target = memory({ volumes: [{ size: '64MiB' }], ports: 2 })
  const array = await nvmeArrayOf(target, { name: 'nqn.2026-11.io.example:array' })
  expect(array.ports.map(({ address }) => address)).toHaveLength(2)
  const rule = array.faults.wire({ pdu: 'c2hData', cut: 1000, reset: true, count: 1 })
  array.faults.command({ opcode: 0x01, status: 0x0082, retryDelay: 2, count: 3 })
  const held = array.faults.command({ port: 0, opcode: 0x01, holds: true })
  target.array.setAccess(0, { port: 0 }, 'standby')
  held.release()
  expect([rule.hits, held.held]).toEqual([0, 0])
  expect([array.counters.controllers, array.violations]).toEqual([0, []])
  await array.close()
})
