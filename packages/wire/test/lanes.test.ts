import { expect, test } from 'vitest'
import type { Lane } from '../src/index.ts'
import { Lanes, Lane as NewLane } from '../src/index.ts'

interface Item {
  readonly name: string
  readonly lane: Lane<Item>
  next: Item | null
}

/** Lanes over so many places, and what goes into them. */
function scene(places: number) {
  const lanes = new Lanes<Item>()
  const room = (): number => places - sent.length
  const sent: Item[] = []
  const pump = (): void => {
    for (let item = lanes.next(room()); item !== null; item = lanes.next(room())) {
      lanes.began(item.lane)
      sent.push(item)
    }
  }
  return {
    lanes,
    sent,
    lane(): Lane<Item> {
      const lane = new NewLane<Item>()
      lanes.open(lane)
      return lane
    },
    send(lane: Lane<Item>, name: string, count = 1): Item[] {
      const items = Array.from({ length: count }, () => ({ name, lane, next: null }))
      for (const item of items) lanes.push(lane, item)
      pump()
      return items
    },
    end(name: string): void {
      const [item] = sent.splice(
        sent.findIndex((one) => one.name === name),
        1,
      )
      lanes.ended(item!.lane)
      pump()
    },
    of: (name: string): number => sent.filter((item) => item.name === name).length,
  }
}

test('a lane that is alone has every place', () => {
  const { lane, send, of } = scene(8)
  send(lane(), 'a', 10)
  expect(of('a')).toBe(8)
})

test('a lane that hangs leaves places for the others, and they go on, several at once', () => {
  const { lane, lanes, send, of, end } = scene(64)
  const [a, b] = [lane(), lane()]
  send(a, 'a', 100)
  expect(of('a')).toBe(48)
  send(b, 'b', 50)
  let ended = 0
  for (let left = 50; of('b') > 0; left--, ended++) {
    expect(of('b')).toBe(Math.min(left, 16))
    end('b')
  }
  expect(ended).toBe(50)
  expect(of('a')).toBe(48)
  expect(lanes.waiting).toBe(52)
})

test.each([2, 3, 5, 9, 17, 32])('whichever of %i lanes hang, in whatever order, the last one has its part', (count) => {
  for (let first = 1; first < 60; first++) {
    const { lane, send, of } = scene(127)
    const all = Array.from({ length: count }, lane)
    for (const each of all.slice(0, -1)) send(each, 'early', first)
    for (const each of all.slice(0, -1)) send(each, 'hangs', 200)
    send(all.at(-1)!, 'last', 200)
    expect(of('last')).toBeGreaterThanOrEqual(Math.max(1, Math.floor(16 / (count - 1))))
  }
})

test('the part of a lane that nobody uses goes to the others when what it has sent has ended', () => {
  const { lane, lanes, send, of, end } = scene(8)
  const [a, b] = [lane(), lane()]
  send(b, 'b')
  send(a, 'a', 20)
  expect(of('a')).toBe(5)
  lanes.close(b)
  send(a, 'a')
  expect(of('a')).toBe(5)
  end('b')
  expect(of('a')).toBe(8)
  lanes.open(b)
  end('a')
  end('a')
  expect(of('a')).toBe(6)
  send(b, 'b')
  expect(of('b')).toBe(1)
})

test('what nobody has said to use counts as long as it has something sent', () => {
  const { lane, send, of, end } = scene(8)
  const a = lane()
  send(new NewLane(), 'other')
  send(a, 'a', 20)
  expect(of('a')).toBe(5)
  end('other')
  expect(of('a')).toBe(8)
})

test('lanes that wait have places in turn', () => {
  const { lane, sent, send, end } = scene(1)
  const [a, b] = [lane(), lane()]
  send(a, 'a', 4)
  send(b, 'b', 3)
  const order: string[] = []
  while (sent.length > 0) {
    order.push(sent[0]!.name)
    end(sent[0]!.name)
  }
  expect(order.join('')).toBe('aababab')
})

test('what is taken out is not sent, and the rest keeps its order', () => {
  const { lane, lanes, sent, send, end } = scene(1)
  const [a, b] = [lane(), lane()]
  const items = [...send(a, 'a', 3), ...send(b, 'b', 2)]
  lanes.remove(new Set([items[1]!, items[3]!, items[4]!]))
  expect(lanes.waiting).toBe(1)
  end('a')
  expect(sent).toEqual([items[2]])
  expect(lanes.shift()).toBeNull()
})

/** Lanes whose commands have bytes, with room for very many. */
function heavyScene() {
  const lanes = new Lanes<Item>(({ name }) => Number(name))
  const sent: Item[] = []
  const pump = (): void => {
    for (let item = lanes.next(1000 - sent.length); item !== null; item = lanes.next(1000 - sent.length)) {
      lanes.began(item.lane, Number(item.name))
      sent.push(item)
    }
  }
  return {
    lanes,
    lane(): Lane<Item> {
      const lane = new NewLane<Item>()
      lanes.open(lane)
      return lane
    },
    send(lane: Lane<Item>, bytes: number, count = 1): void {
      for (let left = count; left > 0; left--) lanes.push(lane, { name: String(bytes), lane, next: null })
      pump()
    },
    end(lane: Lane<Item>): void {
      const [item] = sent.splice(
        sent.findIndex((one) => one.lane === lane),
        1,
      )
      lanes.ended(lane, Number(item!.name))
      pump()
    },
  }
}

test('beside a lane that sends, another has a MiB on its way at most, or one command; alone again it has all', () => {
  const { lane, send, end } = heavyScene()
  const [big, small] = [lane(), lane()]
  send(big, 262_144, 100)
  expect(big.sent).toBe(100)
  send(small, 4096)
  for (let count = 0; count < 100; count++) end(big)
  send(big, 262_144, 400)
  expect([big.sent, big.bytes]).toEqual([4, 1_048_576])
  // Between two commands of the small one, too.
  end(small)
  end(big)
  expect(big.sent).toBe(4)
  send(small, 4096)
  expect(small.sent).toBe(1)
  send(small, 2_097_152)
  expect(small.sent).toBe(1)
  end(small)
  expect(small.sent).toBe(1)
  end(small)
  for (let count = 0; count < 256; count++) end(big)
  expect(big.sent).toBeGreaterThan(4)
})

test('bytes of a command that nobody waits for are no reason for others of its lane to wait', () => {
  const { lanes, lane, send, end } = heavyScene()
  const [big, small] = [lane(), lane()]
  send(big, 1_048_576)
  send(small, 4096)
  send(big, 4096)
  expect(big.sent).toBe(1)
  lanes.orphaned(big, 1_048_576)
  end(small)
  expect([big.sent, big.bytes]).toEqual([2, 4096])
  lanes.ended(big)
  expect([big.sent, big.bytes]).toEqual([1, 4096])
})
