import type { PathTrouble, Target } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import { Rival } from '../../src/target/nexus/rival.ts'
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
  // Each within a second of its login, or the third in a row.
  for (const reason of reasons.slice(2))
    expect(reason).toMatch(
      /; the target ends sessions soon after their login, as it does where another initiator named iqn\.2026-11\.io\.blockbraid:host logs in: give each agent an initiator name of its own$/,
    )
  // Beside it the path tells of it by itself: that is in the log at once.
  expect(troubles).toHaveLength(2)
  expect(troubles[0]).toMatchObject({ kind: 'session taken', text: expect.stringContaining(reasons[2]!) })
})

describe('whose sessions end soon after their login, again and again', () => {
  const closed = () => new BlockError('CONNECT_FAILED', 'the target closed the connection')
  const reset = () =>
    new BlockError('CONNECT_FAILED', 'reset', { cause: Object.assign(new Error(), { code: 'ECONNRESET' }) })

  /** Four sessions that live for 5 s; resolves to what is said of their ends. */
  async function lives(end: () => BlockError, between: (rival: Rival) => void = () => {}): Promise<string[]> {
    const { clock } = virtualHost()
    const rival = new Rival(clock, 'iqn.2026-11.io.blockbraid:host')
    const reasons: string[] = []
    for (let time = 0; time < 4; time++) {
      rival.opened()
      await clock.advance(5000)
      reasons.push(rival.explain(end()).message)
      between(rival)
    }
    return reasons
  }
  const blamed = (reasons: string[]) => reasons.map((reason) => /another initiator/.test(reason))

  test('another initiator is named from the third on where the target closes them', async () => {
    expect(blamed(await lives(closed))).toEqual([false, false, true, true])
  })

  test('none is where the connections are reset: links and ports do that', async () => {
    expect(blamed(await lives(reset))).toEqual([false, false, false, false])
  })

  test('none is where a login fails meanwhile: nobody keeps us from logging in', async () => {
    expect(blamed(await lives(closed, (rival) => rival.refused()))).toEqual([false, false, false, false])
  })
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
