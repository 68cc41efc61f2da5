import { createRandom, createVirtualClock, randomInt, virtualHost } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { FakeWiresOptions, InputSlab, Wire } from '../src/index.ts'
import { createFakeWires, FakeWire, letGo } from '../src/index.ts'
import { log } from './support.ts'

function pair(options: FakeWiresOptions = {}) {
  const clock = createVirtualClock(3)
  const [one, other] = createFakeWires(clock, options)
  const logs = [log(), log()] as const
  one.sink = logs[0]
  other.sink = logs[1]
  return { clock, one, other, heard: logs[0].said, said: logs[1].said }
}

const say = (wire: Wire, text: string): void => wire.outbox.attach(Buffer.from(text, 'latin1'))

test('what one end says arrives at the other one after the latency, and not before', async () => {
  const { clock, one, said } = pair({ latency: 5 })
  say(one, 'hello')
  await clock.advance(4)
  expect(said).toEqual([])
  await clock.advance(1)
  expect(said).toEqual(['hello'])
  expect(one.outbox.left).toBe(5)
})

test('bytes that nobody keeps are overwritten; those that are held only once they are let go of; those retained never', () => {
  const wire = new FakeWire(createVirtualClock())
  const views: Buffer[] = []
  let slab: InputSlab | undefined
  const keeps = [() => {}, () => void (slab = wire.hold()), () => wire.retain()]
  wire.sink = {
    ...log(),
    bytes(chunk, start, end) {
      views.push(chunk.subarray(start, end))
      keeps.shift()?.()
    },
  }
  for (const text of ['passing', 'holding', 'keeping']) wire.receive(Buffer.from(text))
  expect(views.map(String)).toEqual([expect.not.stringContaining('p'), 'holding', 'keeping'])
  expect(wire.held).toBe(1)
  letGo(slab!)
  expect(views.map(String)).toEqual([expect.not.stringContaining('p'), expect.not.stringContaining('h'), 'keeping'])
  expect(wire.held).toBe(0)
})

test('back-pressure: what does not fit waits in the process of the sender until the other end reads', async () => {
  const { clock, one, other, said } = pair({ window: 4 })
  let news = 0
  one.outbox.onLeft = () => news++
  other.pause()
  say(one, 'abcdefghij')
  await clock.advance(10)
  expect([one.outbox.left, one.outbox.position, said]).toEqual([0, 10, []])
  other.resume()
  await clock.advance(10)
  expect([one.outbox.left, said]).toEqual([10, ['abcd', 'efgh', 'ij']])
  expect(news).toBeGreaterThan(0)
})

test('payload that changes before it has left is sent changed, as a socket would', async () => {
  const { clock, one, other, said } = pair({ window: 4 })
  other.pause()
  const payload = Buffer.from('abcdefgh')
  one.outbox.attach(payload)
  await clock.advance(1)
  payload.fill('X')
  other.resume()
  await clock.advance(1)
  expect(said).toEqual(['abcd', 'XXXX'])
})

test('an end in order comes behind all that was given, and the one that ends hears that it is over', async () => {
  const { clock, one, other, heard, said } = pair({ window: 4 })
  say(one, 'abcdefgh')
  one.end()
  await clock.advance(1)
  expect(said).toEqual(['abcd', 'efgh', 'finished'])
  expect(heard).toEqual(['closed in order'])
  expect([one.closed, other.closed]).toEqual([true, false])
})

test('who still writes to an end that has gone gets RST', async () => {
  const { clock, one, other, said } = pair()
  one.destroy()
  await clock.advance(1)
  expect(said).toEqual(['finished'])
  say(other, 'too late')
  await clock.advance(1)
  expect(said).toEqual(['finished', 'closed ECONNRESET'])
})

test('an end by force loses what has not left; unread bytes make it RST', async () => {
  const { clock, one, other, heard, said } = pair({ window: 4 })
  say(one, 'abcdefgh')
  one.pause()
  say(other, 'unread')
  await clock.advance(1)
  say(one, 'more')
  await clock.advance(1)
  one.destroy()
  await clock.advance(1)
  expect(heard).toEqual([])
  expect(said).toEqual(['abcd', 'efgh', 'more', 'closed ECONNRESET'])
  expect(one.outbox.left).toBe(one.outbox.position)
})

test('RST ends the other end without FIN, and the one that sends it hears nothing', async () => {
  const { clock, one, heard, said } = pair()
  one.reset()
  await clock.advance(1)
  expect([heard, said]).toEqual([[], ['closed ECONNRESET']])
})

test('in the dark nothing arrives, and nobody is told; in the light it does, in order', async () => {
  const { clock, one, other, heard, said } = pair()
  one.dark = true
  say(one, 'one')
  await clock.advance(1)
  say(other, 'back')
  say(one, 'two')
  await clock.advance(1)
  one.end()
  await clock.advance(60_000)
  expect([heard, said]).toEqual([['back', 'closed in order'], []])
  one.dark = false
  await clock.advance(1)
  expect(said).toEqual(['one', 'two', 'finished'])
})

test('a failure of the system is told once, and nothing after it', async () => {
  const { clock, one, other, heard } = pair()
  say(other, 'late')
  one.fail('ETIMEDOUT')
  one.fail('ECONNRESET')
  await clock.advance(1)
  expect(heard).toEqual(['closed ETIMEDOUT'])
})

/** A course with cuts and stops drawn from the seed; returns what was heard, piece by piece. */
async function course(seed: number): Promise<{ pieces: string[]; text: string }> {
  const { clock, random } = virtualHost(seed)
  const [one, other] = createFakeWires(clock, { latency: 1, window: 1 + randomInt(random, 50), random })
  const sink = log()
  other.sink = sink
  let text = ''
  for (let count = 0; count < 50; count++) {
    const part = String.fromCharCode(97 + (count % 26)).repeat(1 + randomInt(random, 40))
    text += part
    say(one, part)
    if (random() < 0.2) other.pause()
    if (random() < 0.4) other.resume()
    await clock.advance(randomInt(random, 3))
  }
  other.resume()
  one.end()
  await clock.advance(5000)
  expect(sink.said.pop()).toBe('finished')
  return { pieces: sink.said, text }
}

test('whatever the window, the cuts and the stops: every byte once, in order; and the same course from the same seed', async () => {
  const random = createRandom(5)
  for (let round = 0; round < 100; round++) {
    const seed = randomInt(random, 2 ** 31)
    const first = await course(seed)
    expect(first.pieces.join(''), `seed ${seed}`).toBe(first.text)
    if (round < 10) expect((await course(seed)).pieces, `seed ${seed}`).toEqual(first.pieces)
  }
})
