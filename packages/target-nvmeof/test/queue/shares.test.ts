import { BlockError } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { Direction, Outcome } from '../../src/queue/command.ts'
import { Share } from '../../src/queue/share.ts'
import { response } from '../support/controller-pdus.ts'
import type { TestQueue } from '../support/queue.ts'
import { type Running, start, testQueue } from '../support/queue.ts'

const many = ({ queue }: TestQueue, nsid: number, count: number, owner: object = queue): Running[] =>
  Array.from({ length: count }, () => start(queue, Direction.Read, 512, { nsid, owner }))

/** A queue of 64 places that namespaces 1 and 2 share. */
function shared(): TestQueue & { readonly ends: readonly Share[] } {
  const made = testQueue({ depth: 65 })
  return { ...made, ends: [new Share([made.queue], 1), new Share([made.queue], 2)] }
}

/** The controller answers what comes, but for those; returns how many came at once, each time. */
function serve({ sent, receive }: TestQueue): number[] {
  const rounds: number[] = []
  for (let pdus = sent(); pdus.length > 0; pdus = sent()) {
    rounds.push(pdus.length)
    receive(...pdus.map(({ cid }) => response({ cid, status: 6 })))
  }
  return rounds
}

test('a namespace that is alone has the whole queue', () => {
  const bed = testQueue({ depth: 65 })
  new Share([bed.queue], 1)
  many(bed, 1, 100)
  expect(bed.sent().length).toBe(64)
})

test('a namespace that hangs leaves entries of the queue to another one, which goes on many at a time', () => {
  const bed = shared()
  const hung = many(bed, 1, 40_000)
  expect(bed.sent().length).toBe(48)
  const others = many(bed, 2, 160)
  expect(serve(bed)).toEqual(Array.from({ length: 10 }, () => 16))
  expect(others.every(({ ends }) => ends[0]?.outcome === Outcome.Answered)).toBe(true)
  expect(hung.every(({ ends }) => ends.length === 0)).toBe(true)
})

test('what a namespace has left unanswered and nobody waits for counts as its own until it is answered', () => {
  const bed = shared()
  const hung = many(bed, 1, 60)
  const pdus = bed.sent()
  expect(bed.queue.detach(hung.map(({ command }) => command))).toBe(true)
  expect(hung.filter(({ ends }) => ends[0]?.outcome === Outcome.NotSent).length).toBe(12)
  many(bed, 1, 20)
  expect(bed.sent()).toEqual([])
  many(bed, 2, 40)
  expect(serve(bed)).toEqual([16, 16, 8])
  bed.receive(...pdus.map(({ cid }) => response({ cid, status: 6 })))
  expect(serve(bed)).toEqual([20])
  expect(bed.queue.busy).toBe(0)
})

test('those of one namespace that wait are taken out, and those of another one stay in order', () => {
  const bed = testQueue({ depth: 2 })
  const [first, ...gone] = many(bed, 1, 3)
  const stay = many(bed, 2, 3)
  bed.sent()
  bed.queue.detach(gone.map(({ command }) => command))
  expect(gone.map(({ ends }) => ends[0]?.outcome)).toEqual([Outcome.NotSent, Outcome.NotSent])
  bed.receive(response({ cid: first!.cid, status: 6 }))
  for (const { command } of stay) {
    const [pdu] = bed.sent()
    expect(pdu?.cid).toBe(command.cid)
    bed.receive(response({ cid: pdu!.cid, status: 6 }))
  }
  expect(bed.queue.busy).toBe(0)
})

test('a share that is ended goes to the others when its commands have ended', () => {
  const bed = shared()
  const [one] = many(bed, 2, 1)
  bed.ends[1]?.end()
  bed.sent()
  many(bed, 1, 100)
  expect(bed.sent().length).toBe(47)
  bed.receive(response({ cid: one!.cid, status: 6 }))
  expect(bed.sent().length).toBe(17)
})

test('a queue that is cut ends those of every namespace once, and they hold nothing any more', () => {
  const bed = shared()
  const all = [...many(bed, 1, 100), ...many(bed, 2, 30)]
  const orphans = all.slice(0, 10)
  bed.queue.detach(orphans.map(({ command }) => command))
  bed.queue.cut(new BlockError('CLOSED', 'over'))
  bed.queue.endAll()
  expect(all.map(({ ends }) => ends.length)).toEqual(all.map(() => 1))
  expect(bed.queue.busy).toBe(0)
  const { lanes } = bed.queue
  expect([lanes.waiting, lanes.of(1).sent, lanes.of(2).sent]).toEqual([0, 0, 0])
})
