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
      lanes.add()
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

test('a lane that hangs leaves places for the others, and they go on', () => {
  const { lane, lanes, send, of, end } = scene(64)
  const [a, b] = [lane(), lane()]
  send(a, 'a', 100)
  expect(of('a')).toBe(48)
  send(b, 'b', 50)
  let ended = 0
  for (; of('b') > 0; ended++) end('b')
  expect(ended).toBe(50)
  expect(of('a')).toBe(48)
  expect(lanes.waiting).toBe(52)
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
