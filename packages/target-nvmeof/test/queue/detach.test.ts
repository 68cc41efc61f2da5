import { NO_BUFFERS } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { CommandState, Direction, Outcome } from '../../src/queue/command.ts'
import { dataIn, r2t, response } from '../support/controller-pdus.ts'
import { type Running, start, testQueue } from '../support/queue.ts'

const page = (fill: number, length = 4096): Buffer => Buffer.alloc(length, fill)

test('a command whose caller has gone keeps its CID until it is answered', () => {
  const { queue, sent, receive, state } = testQueue({ depth: 3 })
  const into = page(0)
  const read = start(queue, Direction.Read, into)
  const write = start(queue, Direction.Write, page(1))
  const waits = start(queue, Direction.Write, page(2))
  sent()
  expect(queue.detach([read.command, write.command, waits.command])).toBe(true)
  expect(read.ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(waits.ends).toMatchObject([{ outcome: Outcome.NotSent }])
  expect(queue.commandsOf(queue)).toEqual([read.command, write.command])
  const next = start(queue, Direction.None)
  expect(sent()).toEqual([])
  receive(dataIn({ cid: read.cid, flags: 12 }, page(0xee)))
  expect(into.includes(0xee)).toBe(false)
  expect(sent().map(({ cid }) => cid)).toEqual([next.command.cid])
  receive(response({ cid: write.cid }), response({ cid: next.command.cid }))
  expect(queue.commandsOf(queue)).toEqual([])
  expect(state.broken).toBeUndefined()
  for (const { ends } of [read, write, waits, next]) expect(ends.length).toBe(1)
})

test('an R2T for a write whose caller has gone is not served: its buffers are no longer there', () => {
  const { queue, sent, receive, state } = testQueue()
  const write = start(queue, Direction.Write, page(1, 8192))
  sent()
  queue.detach([write.command])
  receive(r2t({ cid: write.cid, length: 8192 }))
  expect(sent()).toEqual([])
  expect(state.broken).toBeUndefined()
  receive(response({ cid: write.cid, status: 0x4007 }))
  expect(queue.busy).toBe(0)
})

test('where payload has not left, detaching is not enough', () => {
  const { queue, wire } = testQueue()
  const write = start(queue, Direction.Write, page(1))
  const read = start(queue, Direction.Read, 512)
  expect(queue.detach([read.command])).toBe(true)
  expect(queue.detach([write.command])).toBe(false)
  wire.outbox.flush()
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
})

test('what is sent from inside of done goes at once, and each command ends once', () => {
  const { queue, sent, receive } = testQueue({ depth: 2 })
  const all: Running[] = []
  const again = (): void => {
    if (all.length < 5) all.push(start(queue, Direction.None, 0, { onEnd: again }))
  }
  again()
  for (let count = 0; count < 5; count++) {
    const [pdu, ...more] = sent()
    expect(more).toEqual([])
    receive(response({ cid: pdu?.cid as number }))
  }
  expect(all.map(({ ends }) => ends.length)).toEqual([1, 1, 1, 1, 1])
  expect(queue.busy).toBe(0)
})

test('a queue that is ended from inside of done ends every other command once', () => {
  const { queue, sent, receive } = testQueue()
  const others = [start(queue, Direction.Read, 512), start(queue, Direction.Write, page(1))]
  const first = start(queue, Direction.None, 0, {
    onEnd() {
      queue.cut(new Error('over') as never)
      queue.endAll()
    },
  })
  sent()
  receive(response({ cid: first.cid }), response({ cid: others[0]?.cid as number }))
  expect(first.ends).toMatchObject([{ outcome: Outcome.Answered }])
  for (const { ends } of others) expect(ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(queue.busy).toBe(0)
})

test('a queue that is ended while its commands are detached gives each back once', () => {
  const { queue, sent } = testQueue()
  const first = start(queue, Direction.Read, 512, {
    onEnd() {
      queue.cut(new Error('over') as never)
      queue.endAll()
    },
  })
  const second = start(queue, Direction.Read, 512)
  sent()
  queue.detach([first.command, second.command])
  expect(first.ends.length).toBe(1)
  expect(second.ends.length).toBe(1)
  expect(queue.busy).toBe(0)
  const taken = [queue.take(), queue.take(), queue.take()]
  expect(new Set(taken).size).toBe(3)
  expect(taken.every((command) => command?.state === CommandState.Idle)).toBe(true)
})

test('the rest of the data of a read whose caller has gone goes nowhere', () => {
  const { queue, sent, receive, state } = testQueue()
  const read = start(queue, Direction.Read, 8192)
  sent()
  const data = dataIn({ cid: read.cid, flags: 12 }, page(1, 8192))
  receive(data.subarray(0, 1000))
  queue.detach([read.command])
  receive(data.subarray(1000))
  expect(NO_BUFFERS).toEqual([])
  expect(state.broken).toBeUndefined()
  expect(queue.busy).toBe(0)
})
