import { BlockError } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { SignOfLife } from '../src/index.ts'

function watched() {
  const clock = createVirtualClock()
  const life = new SignOfLife(clock)
  const sent: string[] = []
  const ends: string[] = []
  const ask = (who: string, signal?: AbortSignal): void =>
    void life
      .ask(() => sent.push(who), { signal })
      .then(
        () => ends.push(`${who} heard`),
        (error: Error) => ends.push(`${who}: ${error.message}`),
      )
  return { clock, life, sent, ends, ask }
}

test('a thousand who ask at once are one question, and whatever comes is the answer to all', async () => {
  const { clock, life, sent, ends, ask } = watched()
  for (let count = 0; count < 1000; count++) ask(`path ${count}`)
  await clock.advance(10)
  expect(sent).toEqual(['path 0'])
  expect(life.silence).toBe(10)
  life.heard()
  await clock.advance(0)
  expect(ends.length).toBe(1000)
  expect(life.silence).toBe(0)
  expect(clock.timers).toBe(0)
})

test('what came a moment ago will do, what came earlier will not', async () => {
  const { clock, life, sent, ends, ask } = watched()
  life.heard()
  await clock.advance(90)
  ask('soon')
  await clock.advance(10)
  ask('later')
  await clock.advance(1)
  expect({ sent, ends }).toEqual({ sent: ['later'], ends: ['soon heard'] })
  life.heard()
})

test('without an answer the next one who waits asks, each second', async () => {
  const { clock, life, sent, ask } = watched()
  for (const who of ['a', 'b', 'c']) ask(who)
  await clock.advance(3500)
  expect(sent).toEqual(['a', 'b', 'c', 'a'])
  life.heard()
  expect(clock.timers).toBe(0)
})

test('who gives up is told why and asks no more; the silence is remembered until something comes', async () => {
  const { clock, life, sent, ends, ask } = watched()
  const one = new AbortController()
  const other = new AbortController()
  ask('one', one.signal)
  ask('other', other.signal)
  await clock.advance(500)
  one.abort(new BlockError('TIMED_OUT', 'no answer within 500 ms'))
  await clock.advance(1000)
  other.abort()
  await clock.advance(0)
  expect(ends).toEqual(['one: no answer within 500 ms', 'other: no sign of life came in time'])
  expect(sent).toEqual(['one', 'other'])
  expect(clock.timers).toBe(0)
  expect(life.silence).toBe(1500)
  life.heard()
  expect(life.silence).toBe(0)
  ask('late', one.signal)
  await clock.advance(0)
  expect(ends[2]).toBe('late: no answer within 500 ms')
})

test('the end of the connection ends who waits', async () => {
  const { clock, life, ends, ask } = watched()
  ask('one')
  ask('other')
  life.end(new BlockError('CLOSED', 'it is closed'))
  await clock.advance(0)
  expect(ends).toEqual(['one: it is closed', 'other: it is closed'])
  expect(clock.timers).toBe(0)
})
