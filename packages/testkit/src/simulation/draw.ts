import type { Access } from '@blockbraid/core'
import { createRandom, randomInt } from '../time/random.ts'
import { drawFaults } from './draw-faults.ts'
import { drawIos } from './draw-ios.ts'
import type { Feature, Plan, PlanEvent, Shape, ShapeOptions } from './plan.ts'
import { features } from './plan.ts'
import type { Theme } from './themes.ts'
import { themes } from './themes.ts'

// The others draw everything by itself.
const THEMED = 0.5

const all = Object.keys(features) as Feature[]

/**
 * Draws a schedule from a whole number, 0 or more and below 2 ** 53; else throws a TypeError. `only`: what may happen in it; left
 * out, that is drawn too.
 */
export function drawPlan(seed: number, only?: readonly Feature[]): Plan {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new TypeError(`seed is ${String(seed)}; it must be a whole number from 0 on, below 2 ** 53`)
  }
  const random = createRandom(seed)
  const theme = random() < THEMED ? themes[randomInt(random, themes.length)] : undefined
  const drawn = drawFeatures(random, theme)
  const plan = { seed, features: only ?? drawn }
  const shape = drawShape(random, plan.features, only === undefined ? theme : undefined)
  // Of some only.
  const length = 15 + randomInt(random, 50)
  const faults = drawFaults(random, plan.features, shape, length)
  const moments = faults.map(({ at }) => at)
  const events: PlanEvent[] = [...faults, ...drawIos(random, shape, length, moments)]
  return { ...plan, shape, events: events.sort((one, other) => one.at - other.at) }
}

function drawFeatures(random: () => number, theme: Theme | undefined): Feature[] {
  const rate = theme === undefined ? 0.15 + 0.5 * random() : 0.04
  const drawn = all.filter((feature) => random() < rate || theme?.features.includes(feature))
  // Which of the lost caches a host, or a request, has heard of is known of one alone.
  return drawn.includes('cacheLoss')
    ? drawn.filter((feature) => feature !== 'secondHost' && feature !== 'forgets')
    : drawn
}

function drawShape(random: () => number, drawn: readonly Feature[], theme: Theme | undefined): Shape {
  const some = (rate = 0.7): boolean => random() < rate
  const pick = <T>(...values: readonly T[]): T => values[randomInt(random, values.length)] as T
  const controllers = pick(1, 2, 2)
  const volumes = pick(1, 1, 1, 2)
  const hosts = drawn.includes('secondHost') ? 2 : 1
  const ioTimeout = pick(8, 15, 20, 30)
  const longer = ioTimeout * pick(1, 1, 2)
  const base = pick(20, 100, 300)
  const blockSize = some(0.05) ? 4096 : 512
  const shape: Shape = {
    ports: Math.max(controllers, pick(1, 2, 2, 3, 4)),
    controllers,
    volumes,
    hosts,
    clients: drawn.includes('shared') ? pick(2, 3) : pick(1, 2, 3),
    blocks: pick(4, 8, 12, 20),
    depth: pick(1, 1, 2, 4),
    blockSize,
    maxTransfer: Math.max(blockSize, pick(512, 1024, 4096, 4096)),
    ledgerDelay: pick(1, 1, 5),
    queueDepth: pick(1, 2, 8, 32),
    latency: { base, jitter: base * pick(1, 4) },
    fenceDelay: pick(0, 1000, 3000),
    volume: { writeCache: some(), fua: some(), trim: some(), writeZeroes: some() },
    access: Array.from(
      { length: controllers },
      (_, index): Access => (index === 0 || some(0.5) ? 'optimized' : pick('non-optimized', 'standby')),
    ),
    multipath: {
      ioTimeout,
      flushTimeout: longer,
      trimTimeout: longer,
      zeroTimeout: longer,
      noPathTimeout: pick(15, 30, 60),
      connectTimeout: pick(8, 15),
      reconnectDelay: pick(1, 2, 4),
      reconnectDelayMax: pick(8, 20),
      ...drawOptions(pick, some),
    },
    policy: randomInt(random, 64),
    twinSerial: some(0.5),
  }
  if (theme === undefined) return shape
  const multipath = { ...shape.multipath, ...theme.multipath }
  return { ...shape, ...theme.shape, ports: Math.max(controllers, theme.shape?.ports ?? shape.ports), multipath }
}

// What is on in some schedules only.
function drawOptions(pick: <T>(...values: readonly T[]) => T, some: (rate: number) => boolean): Partial<ShapeOptions> {
  return {
    hedgeReads: some(0.3),
    ...(some(0.3) && { keepAlive: pick(4, 10), keepAliveTimeout: pick(4, 10) }),
    ...(some(0.2) && { flapping: { failures: 2, window: 40, probation: pick(5, 20), probationMax: 40 } }),
    ...(some(0.2) && { slow: { factor: 3, floor: 1, time: 100, ios: 2, errors: 0.2 } }),
    ...(some(0.05) && { maxParked: pick(0, 1, 4) }),
    ...(some(0.05) && { maxParkedBytes: pick(512, 4096) }),
    ...(some(0.2) && { priorities: { 'memory:array0/port0/lun0': pick(1, -1) } }),
    ...(some(0.3) && { failback: pick<Required<ShapeOptions>['failback']>('manual', 2, 10) }),
  }
}
