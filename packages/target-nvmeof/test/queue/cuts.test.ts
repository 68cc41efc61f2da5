import { expect, test } from 'vitest'
import { Direction } from '../../src/queue/command.ts'
import { dataIn, icResp, r2t, response } from '../support/controller-pdus.ts'
import { start, testQueue } from '../support/queue.ts'

const pattern = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 7 + seed) & 255))

/** A conversation whose answers are cut at `cut`; what came of its commands, and what was sent. */
function converse(cut: number, headerDigest: boolean, dataDigest: boolean) {
  const framing = { headerDigest, dataDigest }
  const { queue, sent, receive, wire, state } = testQueue({ connection: framing, answer: null, inCapsule: 0 })
  const into = Buffer.alloc(64)
  const all = [
    start(queue, Direction.Read, into),
    start(queue, Direction.Read, 48),
    start(queue, Direction.Write, pattern(40, 3)),
    start(queue, Direction.None),
  ] as const
  sent()
  const agreed = icResp({ digests: (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0) })
  receive(agreed.subarray(0, Math.min(cut, 128)))
  receive(agreed.subarray(Math.min(cut, 128)))
  const cids = sent().map(({ cid }) => cid) as [number, number, number, number]
  const answers = Buffer.concat([
    dataIn({ cid: cids[0], flags: 0 }, pattern(40, 1), framing),
    r2t({ cid: cids[2], tag: 5, length: 40 }, framing),
    dataIn({ cid: cids[1], flags: 12 }, pattern(48, 2), framing),
    dataIn({ cid: cids[0], offset: 40, flags: 4 }, pattern(24, 9), framing),
    response({ cid: cids[0], result: 11 }, framing),
    response({ cid: cids[3], status: 0x4002 }, framing),
  ])
  const at = Math.max(0, Math.min(answers.length, cut - 128))
  receive(answers.subarray(0, at))
  wire.outbox.flush()
  receive(answers.subarray(at))
  const written = sent().map(({ type, data }) => [type, data.toString('hex')])
  receive(response({ cid: cids[2] }, framing))
  expect(state.broken, `cut at ${cut}`).toBeUndefined()
  return { length: 128 + answers.length, ends: all.map(({ ends }) => ends), written, into: into.toString('hex') }
}

test.each([
  [false, false],
  [true, false],
  [false, true],
  [true, true],
])('answers that are cut at any byte come to the same (header digest %s, data digest %s)', (header, data) => {
  const whole = converse(0, header, data)
  expect(whole.ends.map(([end, ...more]) => [end?.status, more.length])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
    [0x4002, 0],
  ])
  expect(whole.written).toEqual([[6, pattern(40, 3).toString('hex')]])
  for (let cut = 1; cut <= whole.length; cut++) expect(converse(cut, header, data), `cut at ${cut}`).toEqual(whole)
})
