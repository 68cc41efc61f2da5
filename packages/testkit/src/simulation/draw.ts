import type { Access } from '@blockbraid/core'
import { createRandom, randomInt } from '../time/random.ts'
import { drawFaults } from './draw-faults.ts'
import { drawIos } from './draw-ios.ts'
import type { Feature, Plan, PlanEvent, Shape, ShapeOptions } from './plan.ts'
import { features } from './plan.ts'

const all = Object.keys(features) as Feature[]

/** Draws a schedule. `only`: what may happen in it; left out, that is drawn too. */
export function drawPlan(seed: number, only?: readonly Feature[]): Plan {
  const random = createRandom(seed)
  const drawn = drawFeatures(random)
  const plan = { seed, features: only ?? drawn }
  const shape = drawShape(random, plan.features)
  // Of some only.
  const length = 15 + randomInt(random, 50)
  const faults = drawFaults(random, plan.features, shape, length)
  const moments = faults.map(({ at }) => at)
  const events: PlanEvent[] = [...faults, ...drawIos(random, shape, length, moments)]
  return { ...plan, shape, events: events.sort((one, other) => one.at - other.at) }
}

function drawFeatures(random: () => number): Feature[] {
  const rate = 0.15 + 0.5 * random()
  const drawn = all.filter(() => random() < rate)
  // Which of the lost caches a host has heard of is known of one alone.
  return drawn.includes('cacheLoss') ? drawn.filter((feature) => feature !== 'secondHost') : drawn
}

function drawShape(random: () => number, drawn: readonly Feature[]): Shape {
  const some = (rate = 0.7): boolean => random() < rate
  const pick = <T>(...values: readonly T[]): T => values[randomInt(random, values.length)] as T
  const controllers = pick(1, 2, 2)
  const volumes = pick(1, 1, 1, 2)
  const hosts = drawn.includes('secondHost') ? 2 : 1
  const ioTimeout = pick(8, 15, 20, 30)
  const longer = ioTimeout * pick(1, 1, 2)
  const base = pick(20, 100, 300)
  return {
    ports: Math.max(controllers, pick(1, 2, 2, 3, 4)),
    controllers,
    volumes,
    hosts,
    clients: drawn.includes('shared') ? pick(2, 3) : pick(1, 2, 3),
    blocks: pick(4, 8, 12, 20),
    depth: pick(1, 1, 2, 4),
    blockSize: some(0.05) ? 4096 : 512,
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
}

// What is on in some schedules only.
function drawOptions(pick: <T>(...values: readonly T[]) => T, some: (rate: number) => boolean): Partial<ShapeOptions> {
  return {
    hedgeReads: some(0.3),
    ...(some(0.3) && { keepAlive: pick(4, 10), keepAliveTimeout: pick(4, 10) }),
    ...(some(0.2) && { flapping: { failures: 2, window: 40, probation: pick(5, 20), probationMax: 40 } }),
    ...(some(0.2) && { slow: { factor: 3, floor: 1, time: 100, ios: 2, errors: 0.2 } }),
    ...(some(0.3) && { failback: pick<Required<ShapeOptions>['failback']>('manual', 2, 10) }),
  }
}
