import { expect, test } from 'vitest'
import type { Association } from '../../src/association/association.ts'
import { ask } from '../../src/nvme/ask.ts'
import { flush, putRange, read } from '../../src/nvme/io.ts'
import { Direction, Outcome } from '../../src/queue/command.ts'
import type { Share } from '../../src/queue/share.ts'
import { type Got, testBed } from '../support/controller.ts'

/** Reads of a namespace, and how they ended. */
function reads(association: Association, share: Share, nsid: number, count: number, length = 512): number[] {
  const ends: number[] = []
  for (let lba = 0; lba < count; lba++) {
    const command = association.take(share)!
    command.owner = share
    command.direction = Direction.Read
    command.length = length
    command.buffers = [Buffer.alloc(length)]
    command.changes = false
    command.done = ({ outcome }) => ends.push(outcome)
    putRange(command.sqe, 2, nsid, lba, length / 512, 0)
    association.send(command)
  }
  return ends
}

/** An association whose namespace 1 answers nothing. */
async function scene(queues: number) {
  const bed = testBed()
  const { controller, clock } = bed
  const association = await bed.open({ queues, queueDepth: 65 })
  const hung: Got[] = []
  const came = new Map<number, number>()
  controller.script.command = (got) => {
    if (got.connection.queue === 0 || got.opcode === 0x7f) return false
    const nsid = got.dword(1)
    came.set(nsid, (came.get(nsid) ?? 0) + 1)
    if (nsid !== 1) return false
    hung.push(got)
    return true
  }
  return { clock, controller, association, hung, came, shares: [association.share(1), association.share(2)] as const }
}

test.each([1, 2, 4])('a namespace that hangs leaves others entries in each of %i queues', async (queues) => {
  const { clock, association, hung, came, shares } = await scene(queues)
  const ends = reads(association, shares[0], 1, 1000)
  await clock.advance(5)
  const room = hung.length
  expect(room).toBe(queues * 48)
  const others = reads(association, shares[1], 2, 16 * queues)
  // What is beside them comes with them: each has its entry at once.
  await clock.advance(5)
  expect([others.length, came.get(2)]).toEqual([16 * queues, 16 * queues])
  expect(ends).toEqual([])
  const both = reads(association, shares[1], 2, 500)
  await clock.advance(50)
  expect(both.every((outcome) => outcome === Outcome.Answered) && both.length === 500).toBe(true)
  expect(hung.length).toBe(room)
  association.detach(association.commandsOf(shares[0]))
  expect(ends.length).toBe(1000)
  for (const got of hung) got.connection.answer(got, { status: 6 })
  await clock.advance(5)
  for (const share of shares) expect(association.commandsOf(share)).toEqual([])
  await clock.runUntil(association.close())
})

test('procedures for a namespace have its part of an I/O queue', async () => {
  const { clock, association, hung, shares } = await scene(1)
  for (let each = 0; each < 100; each++) {
    void association.run(ask(flush(1)), { io: true, timeout: Infinity }).catch(() => {})
  }
  await clock.advance(5)
  expect(hung.length).toBe(48)
  const answer = await clock.runUntil(association.run(ask(flush(2)), { io: true, timeout: 100 }))
  expect(answer.status).toBe(0)
  const ends = reads(association, shares[1], 2, 40)
  await clock.advance(10)
  expect(ends.length).toBe(40)
  await clock.runUntil(association.close())
})

test('a namespace that hangs has one question for a sign of life, however often others have answered in its place', async () => {
  const { clock, association, hung } = await scene(1)
  const owner = {}
  const ping = (): Promise<void> => association.ping(() => ask(read(1, { lba: 0, blocks: 1 }, 512)), owner)
  for (let turn = 0; turn < 60; turn++) {
    await clock.advance(5000)
    const asked = ping()
    await clock.runUntil(association.run(ask(flush(2)), { io: true, timeout: 1000 }))
    await clock.runUntil(asked)
  }
  expect([hung.length, association.commandsOf(owner).length]).toEqual([1, 1])
  for (const got of hung) got.connection.answer(got, { status: 6 })
  await clock.advance(5000)
  expect(association.commandsOf(owner)).toEqual([])
  void ping().catch(() => {})
  await clock.advance(5)
  expect(hung.length).toBe(2)
  await clock.runUntil(association.close())
})

test('reads that are never answered keep no later ones of their namespace, however much they were to bring', async () => {
  const { clock, controller, association, hung, shares } = await scene(1)
  reads(association, shares[0], 1, 8, 131_072)
  await clock.advance(5)
  expect(hung.length).toBe(8)
  association.detach(association.commandsOf(shares[0]))
  // It answers again, but what it has lost.
  controller.script.command = () => false
  const beside = reads(association, shares[1], 2, 1)
  await clock.advance(5)
  const later = reads(association, association.share(1), 1, 8, 131_072)
  await clock.advance(100)
  expect([...beside, ...later]).toEqual(Array.from({ length: 9 }, () => Outcome.Answered))
  await clock.runUntil(association.close())
})
