import { expect, test } from 'vitest'
import type { Watch } from '../../src/fence/quiet-time.ts'
import { quietBy, watchOf } from '../../src/fence/quiet-time.ts'
import { DoubleAssociation } from './double.ts'
import { rig } from './rig.ts'

const SECOND = 1e6
const watch: Watch = { keepAliveTimeout: 5000, trafficBased: false, quiesceTime: 3000 }
const by = (heard: number, quiet: number, more: Partial<Watch> = {}, assumed = 10_000): number | undefined => {
  const at = quietBy({ heardAt: heard * SECOND, quietAt: quiet * SECOND }, { ...watch, ...more }, assumed)
  return at === undefined ? undefined : at / SECOND
}

test('a controller has given up two periods after it was heard, or one after the last was sent, and has then come to rest', () => {
  expect(by(100, 100)).toBeCloseTo(100 + 1.01 * (2 * 5 + 3))
  // It was not heard for long, and was still told that we live.
  expect(by(100, 109)).toBeCloseTo(109 + 1.01 * (5 + 3))
  expect(by(100, 103)).toBeCloseTo(100 + 1.01 * (2 * 5 + 3))
})

test('with traffic-based keep-alive it takes a period more', () => {
  expect(by(100, 100, { trafficBased: true })).toBeCloseTo(100 + 1.01 * (3 * 5 + 3))
  expect(by(100, 109, { trafficBased: true })).toBeCloseTo(109 + 1.01 * (2 * 5 + 3))
})

test('where it does not say how long it needs to come to rest, that is assumed', () => {
  expect(by(0, 0, { quiesceTime: 0 })).toBeCloseTo(1.01 * (10 + 10))
  expect(by(0, 0, { quiesceTime: 0 }, 60_000)).toBeCloseTo(1.01 * (10 + 60))
})

test('no time ends a controller that watches nobody', () => {
  expect(by(0, 0, { keepAliveTimeout: 0 })).toBeUndefined()
})

test('a timer that is coarser than the time-out counts as the longer one', () => {
  const { host } = rig()
  const identify = Buffer.alloc(4096)
  identify.writeUInt16LE(20, 320)
  const { controller } = new DoubleAssociation(host, { keepAliveTimeout: 5000, identify })
  expect(watchOf(controller).keepAliveTimeout).toBe(6000)
  const { controller: exact } = new DoubleAssociation(host, { keepAliveTimeout: 5000 })
  expect(watchOf(exact).keepAliveTimeout).toBe(5000)
})
