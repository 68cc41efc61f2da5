import type { FenceProof } from '@blockbraid/core'
import { expect, test } from 'vitest'
import type { ControllerFacts } from '../../src/association/association.ts'
import type { DoubleAssociation } from './double.ts'
import { Opcode, resetLog, resetter } from './double.ts'
import type { Rig } from './rig.ts'
import { after, rig } from './rig.ts'

const owner = {}
const BY_RESET = { by: 'cross-controller reset', assumed: false }
const asks = ({ sent }: DoubleAssociation): number => sent.filter(([opcode]) => opcode === Opcode.CrossReset).length

interface Scene extends Rig {
  readonly lost: DoubleAssociation
  readonly sibling: DoubleAssociation
  /** Cuts the first one, and asks for its fence. */
  lose(): Promise<FenceProof | undefined>
}

/** Two controllers of one subsystem: the first has a write open, the second can reset others. */
async function scene(first: Partial<ControllerFacts> = {}, second: Partial<ControllerFacts> = {}): Promise<Scene> {
  const made = rig()
  const { shared, association } = await made.at('a', first)
  const { association: sibling } = await made.at('b', { id: 2, crossResets: 1, ...second })
  association.open(owner)
  return {
    ...made,
    lost: association,
    sibling,
    lose() {
      association.lose()
      return shared.fenced(association, owner)
    },
  }
}

test('a sibling resets the controller that was lost, named as it told at its connect; the log tells the end', async () => {
  const { host, sibling, lose } = await scene({ id: 0x102, instance: 0x33, instanceRandom: 'fedcba9876543210' })
  const { answers } = resetter(host, 100)
  const asked: Buffer[] = []
  sibling.answers = (sqe) => {
    if (sqe[0] === Opcode.CrossReset) asked.push(Buffer.from(sqe))
    return answers(sqe)
  }
  const fence = lose()
  expect(await after(host, 90, fence)).toBe('open')
  // Lost events do no harm: it is looked for without them.
  expect(await after(host, 100, fence)).toMatchObject(BY_RESET)
  expect(asked).toHaveLength(1)
  expect(asked[0]!.readUInt32LE(40)).toBe(0x33_0102)
  expect(asked[0]!.readBigUInt64LE(48)).toBe(0xfedcba9876543210n)
  expect(host.clock.timers).toBeLessThan(5)
})

test('the event brings the end sooner', async () => {
  const { host, sibling, lose } = await scene()
  const { answers } = resetter(host, 1000)
  sibling.answers = answers
  const fence = lose()
  expect(await after(host, 1001, fence)).toBe('open')
  for (const { crossReset } of [...sibling.listeners]) crossReset?.()
  expect(await after(host, 0, fence)).toMatchObject({ ...BY_RESET, took: 1001 })
})

test('one that is done at once is the proof at once', async () => {
  const { host, sibling, lose } = await scene()
  sibling.answers = resetter(host, 0).answers
  expect(await after(host, 0, lose())).toMatchObject(BY_RESET)
})

test('an admin queue that is mute gives way to a reset after a moment', async () => {
  const { host, lost, sibling, lose } = await scene()
  lost.disabling = () => new Promise(() => {})
  sibling.answers = resetter(host, 0).answers
  const fence = lose()
  expect(await after(host, 190, fence)).toBe('open')
  expect(asks(sibling)).toBe(0)
  expect(await after(host, 20, fence)).toMatchObject(BY_RESET)
})

test('what the log told before of that controller is no proof', async () => {
  const { host, sibling, lose } = await scene({ id: 1, instance: 7 })
  let stale = true
  sibling.answers = (sqe) => {
    if (sqe[0] !== Opcode.GetLog) return {}
    const entries = stale ? [[1, 7, 1] as const] : [[1, 7, 0] as const]
    stale = false
    return { data: resetLog(...entries) }
  }
  const fence = lose()
  expect(await after(host, 9000, fence)).toBe('open')
  expect(asks(sibling)).toBe(1)
})

test.each([
  ['failed', 2, 'again'],
  ['under way', 0, 'time'],
  ['unknown', 9, 'time'],
])('a reset that the log calls %s is no proof', async (_name, state) => {
  const { host, sibling, lose } = await scene()
  sibling.answers = (sqe) => (sqe[0] === Opcode.GetLog && asks(sibling) > 0 ? { data: resetLog([1, 7, state]) } : {})
  const fence = lose()
  expect(await after(host, 20_000, fence)).toBe('open')
  expect(await after(host, 1000, fence)).toMatchObject({ by: 'time' })
  expect(host.clock.timers).toBeLessThan(5)
})

test.each([
  ['Invalid Field', 0x4002],
  ['Invalid Opcode', 0x0001],
  ['any with DNR', 0x4006],
])('a controller that refuses with %s is not asked again, and time is the proof', async (_name, status) => {
  const { host, sibling, lose } = await scene()
  sibling.answers = (sqe) => (sqe[0] === Opcode.CrossReset ? { status } : {})
  const fence = lose()
  expect(await after(host, 20_000, fence)).toBe('open')
  expect(await after(host, 1000, fence)).toMatchObject({ by: 'time' })
  expect(asks(sibling)).toBe(1)
})

test.each([
  ['as many as it can', 0x141],
  ['that one, for somebody else', 0x13f],
  ['with a full log', 0x140],
  ['something else', 0x006],
])('a controller that resets %s is asked again', async (_name, status) => {
  const { host, sibling, lose } = await scene()
  const { answers } = resetter(host, 0)
  sibling.answers = (sqe) => (sqe[0] === Opcode.CrossReset && asks(sibling) < 4 ? { status } : answers(sqe))
  expect(await after(host, 1500, lose())).toMatchObject(BY_RESET)
  expect(asks(sibling)).toBe(4)
})

test('a sibling that dies in the middle is followed by another', async () => {
  const made = await scene()
  const { host, sibling, lose } = made
  const { association: third } = await made.at('c', { id: 3, crossResets: 1 })
  sibling.answers = resetter(host, 5000).answers
  third.answers = resetter(host, 30).answers
  const fence = lose()
  expect(await after(host, 100, fence)).toBe('open')
  expect([asks(sibling), asks(third)]).toEqual([1, 0])
  sibling.lose()
  expect(await after(host, 100, fence)).toMatchObject(BY_RESET)
  expect(asks(third)).toBe(1)
})

test('one that dies as the last leaves it to time, which was not shortened', async () => {
  const { host, sibling, lose } = await scene()
  sibling.answers = resetter(host, 60_000).answers
  const fence = lose()
  expect(await after(host, 100, fence)).toBe('open')
  sibling.lose()
  expect(await after(host, 20_000, fence)).toBe('open')
  expect(await after(host, 1000, fence)).toMatchObject({ by: 'time' })
})

test('one that comes later is asked as soon as it is there, be it through the same portal', async () => {
  const made: Rig = rig((opened) => (opened.answers = resetter(made.host, 0).answers))
  const { host } = made
  const { shared, association } = await made.at('a', { crossResets: 1 })
  association.open(owner)
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(host, 3000, fence)).toBe('open')
  const again = (await made.at('a', { id: 9, crossResets: 1 })).association
  expect(again).not.toBe(association)
  expect(await after(host, 0, fence)).toMatchObject(BY_RESET)
})

test('at most CCRL at once, and all of them in the end', async () => {
  const made = rig()
  const { host } = made
  const { association: sibling } = await made.at('s', { id: 100, crossResets: 2 })
  const desk = resetter(host, 50)
  sibling.answers = desk.answers
  const lost = await Promise.all(Array.from({ length: 7 }, (_, index) => made.at(`a${index}`, { id: index })))
  for (const { association } of lost) association.open(owner)
  for (const { association } of lost) association.lose()
  const fences = Promise.all(lost.map(({ shared, association }) => shared.fenced(association, owner)))
  for (const proof of await host.clock.runUntil(fences, 5000)) expect(proof).toMatchObject(BY_RESET)
  expect([desk.most, desk.asked]).toEqual([2, 7])
})

test.each<[string, Partial<ControllerFacts>, Partial<ControllerFacts>]>([
  ['of another system with the same NQN', {}, { serial: 'other' }],
  ['of another model', {}, { model: 'other' }],
  ['that cannot', {}, { crossResets: 0 }],
  ['that calls itself as the lost one', { id: 2 }, {}],
  ['for one that told no random number', { instanceRandom: '0000000000000000' }, {}],
])('no sibling is asked %s', async (_name, first, second) => {
  const { host, sibling, lose } = await scene(first, second)
  sibling.answers = resetter(host, 0).answers
  expect(await after(host, 15_000, lose())).toBe('open')
  expect(asks(sibling)).toBe(0)
})

test('nor is one of another host', async () => {
  const made = await scene({}, { crossResets: 0 })
  const { host, lose } = made
  for (const other of [
    { hostNqn: 'nqn.2026-11.io.blockbraid:other' },
    { hostId: '00000000-0000-0000-0000-000000000000' },
  ]) {
    const { association } = await made.at('c', { id: 3, crossResets: 1 }, other)
    association.answers = resetter(host, 0).answers
  }
  expect(await after(host, 15_000, lose())).toBe('open')
})

test('a flood of events is a few questions', async () => {
  const { host, sibling, lose } = await scene()
  sibling.answers = resetter(host, 300).answers
  const fence = lose()
  await after(host, 10, fence)
  for (let event = 0; event < 1000; event++) for (const { crossReset } of [...sibling.listeners]) crossReset?.()
  expect(await after(host, 800, fence)).toMatchObject(BY_RESET)
  expect(sibling.sent.length).toBeLessThan(20)
})
