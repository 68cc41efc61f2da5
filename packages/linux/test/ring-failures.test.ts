import { afterEach, expect, it, vi } from 'vitest'
import type { Addon } from '../src/addon.ts'
import { Ring } from '../src/index.ts'
import { fill, NOP, openRing, ringProblem } from './ring-bed.ts'

const replaced = vi.hoisted(() => ({}) as Partial<Addon>)

vi.mock('../src/addon.ts', async (original) => {
  const { addon } = await original<typeof import('../src/addon.ts')>()
  return { addon: () => ({ ...addon(), ...replaced, enter: addon().uringEnter }) }
})

afterEach(() => {
  delete replaced.uringEnter
  delete replaced.uringOpen
})

it.skipIf(ringProblem !== undefined)('tries again what the kernel cannot take now', async () => {
  const { addon } = await import('../src/addon.ts')
  const { enter } = addon() as Addon & { enter: Addon['uringEnter'] }
  // EINTR, EAGAIN, EBUSY, EINTR, nothing taken
  const failures = [-4, -11, -16, -4, 0]
  replaced.uringEnter = (...args) => failures.shift() ?? enter(...args)
  const { ring, completed, until } = openRing({ entries: 8 })
  for (let i = 0; i < 3; i++) fill(ring, NOP, i)
  ring.submit()
  await until(3)
  expect(failures).toEqual([])
  expect(completed.map(({ userData }) => userData)).toEqual([0, 1, 2])
  ring.close()
})

it.skipIf(ringProblem !== undefined)('gives up a retry when it is closed', async () => {
  let calls = 0
  replaced.uringEnter = () => {
    calls++
    return -11
  }
  const { ring } = openRing({ entries: 8 })
  fill(ring, NOP, 0)
  ring.submit()
  ring.close()
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(calls).toBe(1)
})

it.skipIf(ringProblem !== undefined)('throws what is not for a retry', () => {
  replaced.uringEnter = () => -9
  const { ring } = openRing({ entries: 8 })
  fill(ring, NOP, 0)
  expect(() => ring.submit()).toThrow('io_uring_enter: EBADF')
  ring.close()
})

it('explains why there is no ring', () => {
  replaced.uringOpen = () => -1
  expect(() => new Ring({ entries: 1 }, () => {})).toThrow(/EPERM, io_uring is not allowed here/)
  replaced.uringOpen = () => -38
  expect(() => new Ring({ entries: 1 }, () => {})).toThrow(/ENOSYS, this kernel has no io_uring/)
  replaced.uringOpen = () => -12
  expect(() => new Ring({ entries: 1 }, () => {})).toThrow('io_uring_setup: ENOMEM, not enough memory')
})
