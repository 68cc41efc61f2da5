import type { PathTrouble, Target } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { bed } from './bed.ts'

/** Opens a path of each in turn, `times` times; resolves to what the first one's paths say when the other opens its. */
async function takeTurns(made: Awaited<ReturnType<typeof bed>>, one: Target, other: Target, times: number) {
  const reasons: string[] = []
  const troubles: PathTrouble[] = []
  for (let turn = 0; turn < times; turn++) {
    const path = await made.open(0, 0, one)
    const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
    path.events.on('trouble', (trouble) => troubles.push(trouble))
    // It is there until the next one comes.
    await made.open(0, 0, other)
    reasons.push((await down).message)
    await path.close()
  }
  return { reasons, troubles }
}

test('another initiator of the same name takes each session: that is said, with the cure', async () => {
  const made = await bed()
  const { reasons, troubles } = await takeTurns(made, made.host(), made.host(), 4)
  expect(reasons[0]).not.toContain('named')
  expect(reasons[1]).not.toContain('named')
  expect(reasons[2]).toMatch(
    /; the target ends session after session soon after the login, as it does where another initiator named iqn\.2026-11\.io\.blockbraid:host logs in: give each agent an initiator name of its own$/,
  )
  // Beside it the path tells of it by itself: that is in the log at once.
  expect(troubles).toHaveLength(2)
  expect(troubles[0]).toMatchObject({ kind: 'session taken', text: expect.stringContaining(reasons[2]!) })
})

test('initiators with names of their own leave each other alone', async () => {
  const made = await bed()
  const one = await made.open(0, 0, made.host())
  let down = false
  one.events.on('down', () => {
    down = true
  })
  for (let turn = 0; turn < 3; turn++) {
    const other = await made.open(0, 0, made.host({ initiator: `iqn.2026-11.io.blockbraid:other${turn}` }))
    await other.close()
  }
  expect(down).toBe(false)
})
