import { expect, test } from 'vitest'
import { testBed, watchLoss } from '../support/controller.ts'

test('a controller that refuses a Keep Alive has broken down: it is given up, so that a new association may come', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  await clock.advance(20_000)
  expect(loss.error).toBeUndefined()
  controller.script.command = (got) => {
    if (got.connection.queue !== 0 || got.opcode !== 0x18) return false
    got.connection.answer(got, { status: 0x4006 })
    return true
  }
  await clock.advance(5000)
  expect(loss.error?.message).toMatch(/Keep Alive failed: internal error/)
  association.release()
  await clock.advance(100)
  expect(clock.timers).toBe(0)
})
