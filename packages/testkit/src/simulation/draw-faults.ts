import type { Access } from '@blockbraid/core'
import { Errno, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { randomInt } from '../time/random.ts'
import { tenths } from './draw-ios.ts'
import type { FaultEvent, Feature, Shape, VolumeFlag } from './plan.ts'
import { sizeOf } from './twin.ts'

type Without<E> = E extends unknown ? Omit<E, 'at'> : never
type Act = Without<FaultEvent>

const ACCESS: readonly Access[] = ['optimized', 'optimized', 'non-optimized', 'standby', 'transitioning', 'unavailable']
const FLAGS: readonly VolumeFlag[] = ['readOnly', 'writeCache', 'fua', 'trim', 'writeZeroes']
const STATUSES = [
  Errno.EIO,
  Errno.EIO | PATH_ERROR,
  Errno.EIO | PATH_ERROR,
  Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED,
  Errno.ETIMEDOUT | PATH_ERROR,
]

/** Something of a feature: what happens, and when, seen from the first of it. */
type Draw = (toss: Toss) => readonly (readonly [after: number, act: Act])[]

interface Toss {
  readonly shape: Shape
  /** One of the ports. */
  readonly port: number
  readonly volume: number
  readonly host: number
  int(below: number): number
  some(rate: number): boolean
  pick<T>(values: readonly T[]): T
}

// What goes wrong is mostly mended, after a while.
const draws: Readonly<Record<Exclude<Feature, 'secondHost' | 'shared' | 'forgets' | 'rewrite' | 'meddling'>, Draw>> = {
  ports: ({ port, int, some }) => [
    [0, { do: 'port down', port }],
    ...(some(0.8) ? [[int(15), { do: 'port up', port }] as const] : []),
  ],
  hangs: ({ port, int, some }) => [
    [0, { do: 'hang', port }],
    ...(some(0.8) ? [[int(40), { do: 'release', port }] as const] : []),
  ],
  mutes: ({ port, int, some }) => [
    [0, { do: 'mute', port }],
    ...(some(0.8) ? [[int(40), { do: 'unmute', port }] as const] : []),
  ],
  slow: ({ port, int, some }) => [
    [0, { do: 'slow', port, extra: int(12_000) }],
    ...(some(0.7) ? [[int(20), { do: 'slow', port, extra: 0 }] as const] : []),
  ],
  errors: ({ port, int, some, pick }) => [
    [0, { do: 'errors', port, rate: some(0.5) ? 1 : 0.4, status: pick(STATUSES) }],
    [1 + int(8), { do: 'mend' }],
  ],
  access: ({ port, shape, int, some, pick }) => {
    const where = { port: some(0.5) ? port : undefined, controller: int(shape.controllers) }
    return [
      [0, { do: 'access', ...where, access: pick(ACCESS) }],
      ...(some(0.7) ? [[int(15), { do: 'access', ...where, access: 'optimized' }] as const] : []),
    ]
  },
  blackouts: ({ shape, int }) => {
    const time = int(30)
    const ports = Array.from({ length: shape.ports }, (_, port) => port)
    return [
      ...ports.map((port) => [0, { do: 'port down', port }] as const),
      ...ports.map((port) => [time + int(5), { do: 'port up', port }] as const),
    ]
  },
  byHand: ({ port, host, volume, int, some }) => [
    [0, { do: 'fail path', port, host, volume }],
    ...(some(0.8) ? [[int(15), { do: 'restore path', port, host, volume }] as const] : []),
  ],
  policies: ({ host, volume, int }) => [[0, { do: 'policy', host, volume, policy: int(64) }]],
  // Often with something that has to be fenced, and executes what it has when a client has seen its error.
  fences: ({ port, int, some }) => [
    [0, { do: 'fences stick' }],
    ...(some(0.5) ? [[int(4), { do: 'hang', port }] as const, [10 + int(50), { do: 'release', port }] as const] : []),
    ...(some(0.7) ? [[int(70), { do: 'fences free' }] as const] : []),
  ],
  remaps: ({ port, volume, int, some }) => [
    [0, { do: some(0.5) ? 'unmap' : 'remap', port, volume }],
    ...(some(0.8) ? [[int(12), { do: 'map back', port, volume }] as const] : []),
  ],
  reopens: ({ host, volume, some }) => [[0, { do: 'reopen', host, volume, abandons: some(0.5) }]],
  reconnect: (toss) => [
    ...held(toss),
    [toss.int(6), { do: 'disconnect', client: toss.int(clients(toss.shape)), known: 0 }],
  ],
  halfOpen: (toss) => [
    ...held(toss),
    [
      toss.int(6),
      { do: 'disconnect', client: toss.int(clients(toss.shape)), known: toss.some(0.7) ? toss.int(60) : -1 },
    ],
  ],
  kill: (toss) => [...held(toss), [toss.int(6), { do: 'kill', host: toss.host, pause: toss.int(10) }]],
  takeOver: (toss) => [
    ...held(toss),
    [toss.int(6), { do: 'hand over', host: toss.host, pause: toss.int(10), patience: toss.int(40) }],
  ],
  cacheLoss: ({ port, shape, volume, int, some }) => {
    if (some(0.5)) return [[0, { do: 'power loss', off: int(20) }]]
    if (some(0.3)) return halfBack({ port, shape, volume, int })
    const late = Array.from({ length: shape.ports }, (_, port) => port).filter(() => some(0.5))
    return [[0, { do: 'lose cache', volume, late }]]
  },
  flags: ({ port, shape, volume, int, some, pick }) => {
    if (some(0.2)) return [[0, { do: 'protect', volume, port, time: int(60) }]]
    if (some(0.25)) return [[0, { do: 'size', volume, size: sizeOf(shape) + 2 * int(32) * shape.blockSize }]]
    return [[0, { do: 'flag', volume, flag: pick(FLAGS) }]]
  },
  rates: ({ host, volume, int, pick }) => [
    [0, { do: 'rates', host, volume, iops: pick([300, 2000]) }],
    [int(20), { do: 'rates', host, volume, iops: 0 }],
  ],
  twin: () => [[0, { do: 'twin' }]],
}

/** Something is in flight then, and stays so for a while. */
function held({ port, int, some }: Toss): readonly (readonly [number, Act])[] {
  if (some(0.5)) return []
  return [
    [0, { do: 'hang', port }],
    [int(50), { do: 'release', port }],
  ]
}

/** One port answers nothing while the cache is lost, and another one is back at once: it tells of that alone. */
function halfBack({ port, shape, volume, int }: Pick<Toss, 'port' | 'shape' | 'volume' | 'int'>): ReturnType<Draw> {
  const other = (port + 1) % shape.ports
  return [
    [0, { do: 'hang', port }],
    [0.1, { do: 'port down', port: other }],
    [0.2, { do: 'lose cache', volume, late: [], unheard: true }],
    [int(4), { do: 'port up', port: other }],
    [20 + int(30), { do: 'port down', port }],
    [60 + int(10), { do: 'port up', port }],
  ]
}

const clients = ({ clients: each, volumes, hosts }: Shape): number => each * volumes * hosts

/** Draws what goes wrong in `length` milliseconds. */
export function drawFaults(
  random: () => number,
  drawn: readonly Feature[],
  shape: Shape,
  length: number,
): FaultEvent[] {
  const kinds = drawn.filter((feature): feature is keyof typeof draws => feature in draws)
  const count = 1 + randomInt(random, 4 + 8 * random())
  const int = (below: number): number => randomInt(random, below)
  const events: FaultEvent[] = []
  for (let number = 0; number < count; number++) {
    const at = random() * length
    const toss: Toss = {
      shape,
      port: int(shape.ports),
      volume: int(shape.volumes),
      host: int(shape.hosts),
      int,
      some: (rate) => random() < rate,
      pick: (values) => values[int(values.length)]!,
    }
    if (kinds.length > 0) {
      for (const [after, act] of draws[kinds[int(kinds.length)]!](toss))
        events.push({ ...act, at: tenths(at + after) } as FaultEvent)
    }
    if (random() < 0.2) events.push({ do: 'crash check', at: tenths(random() * length) })
  }
  return events
}
