import { expect, test } from 'vitest'
import { atTurnEnd, beginTurn, endTurn } from '../src/turn.ts'

function bed() {
  const said: string[] = []
  const deferred: (() => void)[] = []
  const clock = { now: () => 0, after: () => ({ cancel() {} }), defer: (job: () => void) => void deferred.push(job) }
  const put = (what: string): void => atTurnEnd(clock, () => said.push(what))
  return { said, deferred, put, clock }
}

test('what is put off while bytes are read happens when the outermost read has ended, in order; else the clock decides', () => {
  const { said, deferred, put } = bed()
  put('outside')
  expect(deferred.length).toBe(1)
  beginTurn()
  put('first')
  beginTurn()
  put('second')
  endTurn()
  expect(said).toEqual([])
  endTurn()
  expect([said, deferred.length]).toEqual([['first', 'second'], 1])
  beginTurn()
  endTurn()
  expect(said).toEqual(['first', 'second'])
})

test('one that throws keeps nobody else from a later turn', () => {
  const { said, put, clock } = bed()
  beginTurn()
  atTurnEnd(clock, () => {
    throw new Error('no')
  })
  expect(endTurn).toThrow('no')
  beginTurn()
  put('later')
  endTurn()
  expect(said).toEqual(['later'])
})
