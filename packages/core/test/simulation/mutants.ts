import { forward } from '@blockbraid/testkit'
import type { BlockDevice, BlockDevicePair, Host, Ledger, LeftDebt, Path, Target } from '../../src/index.ts'
import { Errno, Io, IoOp, IoSource, OK } from '../../src/index.ts'
import type { Kind, Seams } from './kinds.ts'

/** A fault of core, made around its public seams, and the kind of schedule that shows it. */
export interface SimulationMutant {
  readonly name: string
  /** Alone it finds the fault; undefined: every schedule may. */
  readonly kind: Kind | undefined
  /** Without these, all others together do not. */
  readonly hiddenWithout: readonly Kind[]
  readonly seams: () => Seams
}

function front(target: Target, changes: Partial<Target>): Target {
  return {
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    connect: (info, options) => target.connect(info, options),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
    ...changes,
  }
}

const paths =
  (change: (path: Path) => Partial<Path>) =>
  (target: Target): Target =>
    front(target, {
      async connect(info, options) {
        const path = await target.connect(info, options)
        return forward<Path>(path, change(path))
      },
    })

/** What clients submit to, with another way in. */
function device(below: BlockDevice, submit: (io: Io) => void, changes: Partial<BlockDevice> = {}): BlockDevice {
  return { ...forward(below, { submit }), ...changes }
}

const ledger =
  (change: (ledger: Ledger, host: Host) => Partial<Ledger>) =>
  (below: Ledger, host: Host): Ledger => ({
    put: (debt, options) => below.put(debt, options),
    drop: (token) => below.drop(token),
    left: (volume, options) => below.left(volume, options),
    ...change(below, host),
  })

function copyOf(io: Io): Io {
  return Object.assign(new Io(), { ...io, buffers: io.buffers.map((view) => Buffer.from(view)) })
}

/** Repeats what a client that has gone had in flight. */
function repeatAbandoned(below: BlockDevice, _pair: BlockDevicePair, host: Host): BlockDevice {
  const open = new Map<Io, Io>()
  return device(
    below,
    (io) => {
      const { done, source } = io
      const copy = copyOf(io)
      open.set(io, copy)
      io.done = (ended, status) => {
        open.delete(io)
        done(ended, status)
        if (source?.gone !== true || status === OK) return
        copy.source = null
        copy.done = () => {}
        host.clock.after(5, () => below.submit(copy))
      }
      below.submit(io)
    },
    { abandon: (source) => below.abandon?.(source) },
  )
}

/** Takes every guard down as soon as an I/O has ended with EIO. */
function guardless(below: BlockDevice, pair: BlockDevicePair): BlockDevice {
  return device(
    below,
    (io) => {
      const { done } = io
      io.done = (ended, status) => {
        done(ended, status)
        if (status === Errno.EIO) pair.releaseGuards()
      }
      below.submit(io)
    },
    { abandon: (source) => below.abandon?.(source) },
  )
}

/** Gives what is in flight of one connection a source only when that is gone: nothing is in order with what comes. */
function orderless(below: BlockDevice): BlockDevice {
  const open = new Map<Io, IoSource | null>()
  return device(
    below,
    (io) => {
      const { done } = io
      open.set(io, io.source)
      io.source = null
      io.done = (ended, status) => {
        open.delete(io)
        done(ended, status)
      }
      below.submit(io)
    },
    {
      abandon(source) {
        const gone = new IoSource(0)
        for (const [io, from] of open) if (from === source) io.source = gone
        below.abandon?.(gone)
      },
    },
  )
}

/** Hands the policy the Io that is being submitted: its own, not what core shows of it. */
function realIo(): Seams {
  let current: Io | undefined
  return {
    device: (below) =>
      device(
        below,
        (io) => {
          current = io
          below.submit(io)
          current = undefined
        },
        { abandon: (source) => below.abandon?.(source) },
      ),
    selector: (create) => () => {
      const inner = create()
      return {
        name: inner.name,
        update: (list) => inner.update(list),
        select: (view) => inner.select((current as never) ?? view),
      }
    },
  }
}

/** Takes whatever is on record off it when the agent is closed. */
function forgetsAtTheEnd(): Seams {
  let book: Ledger | undefined
  const tokens = new Set<string>()
  return {
    ledger: ledger((below) => {
      book = below
      return {
        put(debt, options) {
          tokens.add(debt.token)
          return below.put(debt, options)
        },
      }
    }),
    target: (target) =>
      front(target, {
        async close(options) {
          for (const token of tokens) await book?.drop(token)
          await target.close(options)
        },
      }),
  }
}

/** Takes whatever has the name of the volume for the volume. */
function credulous(target: Target): Target {
  const size = 48 * 1024
  return front(target, {
    async discover(options) {
      const infos = await target.discover(options)
      return infos.map(({ id, address, volume, blockSize }) => ({ id, address, volume, blockSize, size }))
    },
    async connect(info, options) {
      const path = await target.connect(info, options)
      return forward<Path>(path, {
        get limits() {
          return { ...path.limits, size }
        },
      })
    },
  })
}

const PROCESSES: readonly Kind[] = ['kill', 'takeOver']
const CONNECTIONS: readonly Kind[] = ['reconnect', 'halfOpen']

export const mutants: readonly SimulationMutant[] = [
  {
    name: 'moves writes of a failed path before its fence stands',
    kind: undefined,
    hiddenWithout: [],
    seams: () => ({ target: paths((path) => ({ close: async () => void path.close() })) }),
  },
  {
    name: 'repeats what a client had in flight that has gone',
    kind: 'reconnect',
    hiddenWithout: CONNECTIONS,
    seams: () => ({ device: repeatAbandoned }),
  },
  {
    name: 'puts changes of different connections in no order',
    kind: 'halfOpen',
    // All is of one source: lost caches are told once, too.
    hiddenWithout: ['halfOpen', 'cacheLoss'],
    seams: () => ({ device: orderless }),
  },
  {
    name: 'forgets what ended with EIO and without a proof',
    kind: 'rewrite',
    // It takes down what holds the others for other reasons, too.
    hiddenWithout: ['rewrite', 'reconnect', 'halfOpen', ...PROCESSES],
    seams: () => ({ device: guardless }),
  },
  {
    name: 'knows nothing of what a killed process had in flight',
    kind: 'kill',
    hiddenWithout: PROCESSES,
    seams: () => ({ ledger: ledger(() => ({ left: async () => [] })) }),
  },
  {
    name: 'writes to the ledger after the first change, not before',
    kind: 'kill',
    hiddenWithout: PROCESSES,
    seams: () => ({
      ledger: ledger((below, host) => ({
        put: async (debt) => void host.clock.after(40, () => void below.put(debt)),
      })),
    }),
  },
  {
    name: 'holds nothing for a debt that may be anywhere on the volume',
    kind: 'kill',
    hiddenWithout: PROCESSES,
    seams: () => ({
      ledger: ledger((below) => ({
        async left(volume, options) {
          const left = await below.left(volume, options)
          return left.map((debt): LeftDebt => (debt.ranges === undefined ? { ...debt, ranges: [] } : debt))
        },
      })),
    }),
  },
  {
    name: 'takes a fence for another process for done before it is',
    kind: 'kill',
    hiddenWithout: PROCESSES,
    seams: () => ({ target: (target) => front(target, { fence: async () => {} }) }),
  },
  {
    name: 'takes all off the ledger when it hands over, proven or not',
    kind: 'takeOver',
    hiddenWithout: ['takeOver'],
    seams: forgetsAtTheEnd,
  },
  {
    name: 'swallows the news that a cache was lost',
    kind: 'cacheLoss',
    hiddenWithout: ['cacheLoss'],
    seams: () => ({
      target: paths(({ events }) => ({
        wasReset: false,
        events: {
          on: (event, listener) => (event === 'cacheLost' ? undefined : events.on(event, listener)),
          once: (event, listener) => events.once(event, listener),
          off: (event, listener) => events.off(event, listener),
        },
      })),
    }),
  },
  {
    name: 'flushes as the volume was when it was opened',
    kind: 'flags',
    hiddenWithout: ['flags'],
    seams: () => ({
      device(below) {
        const { writeCache } = below.limits
        return device(
          below,
          (io) => {
            if (io.op === IoOp.Flush && !writeCache) io.done(io, OK)
            else below.submit(io)
          },
          { abandon: (source) => below.abandon?.(source) },
        )
      },
    }),
  },
  {
    name: 'joins whatever has one name',
    kind: 'twin',
    hiddenWithout: ['twin'],
    seams: () => ({ target: credulous }),
  },
  {
    name: 'hands a policy the real I/O',
    kind: 'meddling',
    hiddenWithout: ['meddling'],
    seams: realIo,
  },
]
