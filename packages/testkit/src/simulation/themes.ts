import type { Feature, Shape, ShapeOptions } from './plan.ts'

/** Few things that go wrong often, together, on what brings them out. */
export interface Theme {
  readonly features: readonly Feature[]
  readonly shape?: Partial<Shape>
  readonly multipath?: Partial<ShapeOptions>
}

const SHORT: Partial<ShapeOptions> = {
  ioTimeout: 8,
  flushTimeout: 8,
  trimTimeout: 8,
  zeroTimeout: 8,
  noPathTimeout: 15,
}
const FAST = { base: 20, jitter: 80 }

/** Each is for faults that need several things at once. */
export const themes: readonly Theme[] = [
  // Reads that are slow, once it is known what slow is.
  { features: ['slow'], shape: { ports: 2, depth: 4, latency: FAST }, multipath: { hedgeReads: true } },
  // Clients that come back while their changes are in flight.
  { features: ['reconnect', 'hangs', 'ports'], shape: { ports: 2, clients: 2, blocks: 4, depth: 4 } },
  { features: ['reconnect', 'forgets', 'hangs'], shape: { ports: 2, clients: 2, blocks: 4, depth: 4 } },
  // Changes that end with an error and come late.
  { features: ['hangs', 'fences', 'rewrite'], shape: { ports: 2, blocks: 4, depth: 4 }, multipath: SHORT },
  // The same, of a process that has ended.
  {
    features: ['kill', 'hangs', 'fences'],
    shape: { ports: 2, blocks: 4, depth: 4, ledgerDelay: 5 },
    multipath: SHORT,
  },
  { features: ['takeOver', 'hangs', 'fences'], shape: { ports: 2, blocks: 4, depth: 4 }, multipath: SHORT },
  // What is done in many pieces.
  {
    features: ['errors', 'shared', 'rewrite'],
    shape: { maxTransfer: 512, blockSize: 512, blocks: 20, clients: 3, depth: 4 },
  },
  {
    features: ['halfOpen', 'forgets'],
    shape: {
      maxTransfer: 512,
      blockSize: 512,
      blocks: 20,
      clients: 1,
      depth: 4,
      ports: 2,
      latency: { base: 300, jitter: 300 },
    },
  },
  // What a volume can do changes under I/O.
  { features: ['flags', 'cacheLoss'], shape: { latency: { base: 300, jitter: 1200 } } },
  { features: ['twin', 'ports'] },
  // Paths that are back at different times after a loss.
  { features: ['cacheLoss', 'ports'], shape: { ports: 2, depth: 4 } },
]
