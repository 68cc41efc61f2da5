import { BlockError } from '@blockbraid/core'
import { expect, test } from 'vitest'
import type { Session } from '../../src/session/session.ts'
import { Direction, Outcome } from '../../src/session/task.ts'
import { start } from './commands.ts'
import { fakeSession, pdu, turn } from './support.ts'

const gone = (): BlockError => new BlockError('CONNECT_FAILED', 'gone')

/** Sends a command again from inside of `done`, at most `most` times. */
function stubborn(session: Session, most: number): { readonly tries: number } {
  const count = { tries: 0 }
  const again = (): void => {
    if (count.tries++ < most) start(session, Direction.None, { onEnd: again })
  }
  again()
  return count
}

test.each([
  ['dropped', 1],
  ['dropped with commands that wait for the window', 64],
])('a session that is %s returns even when `done` sends again each time', async (_what, commands) => {
  const { session } = fakeSession({ maxCmdSn: 4 })
  const all = Array.from({ length: commands }, () => stubborn(session, 1000))
  session.drop(gone())
  for (const { tries } of all) expect(tries).toBeLessThan(10)
})

test('the same where the target has asked for a logout', async () => {
  const { wire, session } = fakeSession()
  const counts = [stubborn(session, 1000)]
  const message = pdu({ opcode: 0x32, word36: 1 << 24, word40: 10 })
  wire.receive(message)
  counts.push(stubborn(session, 1000))
  wire.receive(pdu({ opcode: 0x21, tag: 0x1_0000 }))
  for (const { tries } of counts) expect(tries).toBeLessThan(10)
})

test('a session dropped from inside of `done`: every other command ends once, nothing is parsed any more', async () => {
  const { wire, session, state } = fakeSession()
  const first = start(session, Direction.None, { onEnd: () => session.drop(gone()) })
  const others = [
    start(session, Direction.Write, { data: Buffer.alloc(512) }),
    start(session, Direction.Read, { data: Buffer.alloc(512) }),
    start(session, Direction.None),
  ]
  wire.receive(
    pdu({ opcode: 0x21, tag: first.tag }),
    pdu({ opcode: 0x25, flags: 0x81, tag: others[1]?.tag ?? 0, data: Buffer.alloc(512) }),
    pdu({ opcode: 0x21, tag: others[2]?.tag ?? 0 }),
  )
  expect(first.ends).toMatchObject([{ outcome: Outcome.Answered }])
  for (const { ends } of others) expect(ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(state.lost?.message).toBe('gone')
  expect(wire.closed).toBe(true)
})

test('commands detached from inside of `done` while the session ends are ended once', async () => {
  const { wire, session } = fakeSession()
  const writes = Array.from({ length: 3 }, () => start(session, Direction.Write, { data: Buffer.alloc(512) }))
  const tasks = writes.map(({ task }) => task)
  const first = writes[0]?.task
  const done = first?.done
  if (first !== undefined)
    first.done = (task) => {
      done?.(task)
      session.detach(tasks)
    }
  wire.window = 0
  await turn()
  // Answered before all of the data has left: they wait for that.
  wire.receive(...writes.map(({ tag }) => pdu({ opcode: 0x21, tag })))
  session.drop(gone())
  for (const { ends } of writes) expect(ends.length).toBe(1)
})

test('`lost` is told once, also when the connection ends while the logout that was asked for is under way', async () => {
  const { wire, session } = fakeSession()
  const errors: string[] = []
  session.listeners.add({ lost: ({ message }) => errors.push(message), event() {} })
  wire.receive(pdu({ opcode: 0x32, word36: 1 << 24, word40: 10 }))
  await expect.poll(() => wire.sent().some(({ header }) => header[0] === 0x46)).toBe(true)
  wire.fail('ECONNRESET')
  await turn()
  expect(errors.length).toBe(1)
})

test('a listener that takes itself away, or another one, is no trouble', () => {
  const { session } = fakeSession()
  const heard: string[] = []
  const second = { lost: () => heard.push('second'), event() {} }
  const first = {
    lost() {
      heard.push('first')
      session.listeners.delete(first)
      session.drop(gone())
    },
    event() {},
  }
  session.listeners.add(first)
  session.listeners.add(second)
  session.drop(gone())
  expect(heard).toEqual(['first', 'second'])
})
