import type { BlockDevice, Io, IoDone, IoStatus } from '@blockbraid/core'
import { Errno, Io as IoClass, IoFlag, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import { forward } from '../doubles/forward.ts'
import type { Mutant } from '../harness/mutant.ts'
import type { DeviceSuiteOptions } from '../suites/device-scope.ts'

/** Makes a broken device of a sound one. */
type Breaking = (device: BlockDevice) => Partial<BlockDevice>

function mutant(breaks: string, name: string, breaking: Breaking): Mutant<DeviceSuiteOptions> {
  return {
    name,
    breaks,
    apply(options) {
      const sound = new WeakMap<BlockDevice, BlockDevice>()
      const wrap = (device: BlockDevice): BlockDevice => {
        const broken = forward(device, breaking(device))
        sound.set(broken, device)
        return broken
      }
      const changed: DeviceSuiteOptions = { ...options, open: async () => wrap(await options.open()) }
      if (options.crash !== undefined) {
        const { crash } = options
        changed.crash = (device) => crash(sound.get(device) ?? device)
      }
      return changed
    },
  }
}

/** A copy of an Io that ends in `done`. */
function copyOf(io: Io, done: IoDone, changes: Partial<Io> = {}): Io {
  const { op, flags, offset, length, buffers } = io
  return Object.assign(new IoClass(), { op, flags, offset, length, buffers, done }, changes)
}

/** Runs an Io on the sound device with some fields changed, then ends it. */
function resubmit(device: BlockDevice, io: Io, changes: Partial<Io>, finish?: (status: IoStatus) => IoStatus): void {
  const done: IoDone = (inner, status) => {
    if (io.buffers === NO_BUFFERS) io.buffers = inner.buffers
    io.done(io, finish?.(status) ?? status)
  }
  device.submit(copyOf(io, done, changes))
}

/** A mutant that treats some Ios in its own way, and the others as it should. */
function treating(
  breaks: string,
  name: string,
  applies: (io: Io, device: BlockDevice) => boolean,
  treat: (io: Io, device: BlockDevice) => void,
): Mutant<DeviceSuiteOptions> {
  return mutant(breaks, name, (device) => ({
    submit: (io) => (applies(io, device) ? treat(io, device) : device.submit(io)),
  }))
}

const is =
  (...ops: IoOp[]) =>
  (io: Io): boolean =>
    ops.includes(io.op)

const ignore = (): void => {}

const aboutDone: readonly Mutant<DeviceSuiteOptions>[] = [
  treating('rule 1', 'calls done inside submit', is(IoOp.Read), (io, device) => {
    device.submit(copyOf(io, ignore, { buffers: NO_BUFFERS }))
    io.done(io, OK)
  }),
  treating('rule 1', 'calls done twice', is(IoOp.Flush, IoOp.Read), (io, device) => {
    const { done } = io
    resubmit(device, io, {}, (status) => {
      done(io, status)
      return status
    })
  }),
  treating('rule 1', 'never ends a trim', is(IoOp.Trim), ignore),
  treating('rule 1', 'clears the Io after done', is(IoOp.Read), (io, device) => {
    const done: IoDone = (_inner, status) => {
      io.done(io, status)
      io.length = 0
    }
    device.submit(copyOf(io, done))
  }),
  mutant('rule 1', 'loses what exceeds queueDepth', (device) => {
    let running = 0
    return {
      submit(io) {
        if (running === device.limits.queueDepth) return
        running++
        resubmit(device, io, {}, (status) => {
          running--
          return status
        })
      },
    }
  }),
]

const aboutBuffers: readonly Mutant<DeviceSuiteOptions>[] = [
  treating('rule 2: write buffers are not changed', 'changes write buffers', is(IoOp.Write), (io, device) =>
    resubmit(device, io, {}, (status) => {
      io.buffers[0]![0]! ^= 0xff
      return status
    }),
  ),
  treating('rule 2: write buffers are not kept', 'reads write buffers after done', is(IoOp.Write), (io, device) => {
    const late = copyOf(io, ignore)
    queueMicrotask(() => {
      io.done(io, OK)
      setImmediate(() => device.submit(late))
    })
  }),
  treating(
    'rule 3',
    'fills the views in reverse order',
    (io) => io.op === IoOp.Read && io.buffers.length > 1,
    (io, device) => resubmit(device, io, { buffers: io.buffers.toReversed() }),
  ),
  treating(
    'rule 3',
    'ignores the last view',
    (io) => io.op === IoOp.Read && io.buffers.length > 1,
    (io, device) =>
      resubmit(device, io, { buffers: [...io.buffers.slice(0, -1), Buffer.alloc(io.buffers.at(-1)!.length)] }),
  ),
  treating(
    'rule 3',
    'replaces the given views',
    (io) => io.op === IoOp.Read && io.buffers !== NO_BUFFERS,
    (io, device) => {
      const buffers = io.buffers.map((view) => Buffer.alloc(view.length))
      resubmit(device, io, { buffers }, (status) => {
        io.buffers = buffers
        return status
      })
    },
  ),
  treating('rule 3: a read touches no byte outside', 'writes past the end of a view', is(IoOp.Read), (io, device) =>
    resubmit(device, io, {}, (status) => {
      const last = io.buffers.at(-1)!
      const end = last.byteOffset + last.length
      if (end < last.buffer.byteLength) new Uint8Array(last.buffer, end, 1)[0]! ^= 0xff
      return status
    }),
  ),
  treating(
    'rule 3: with no views',
    'leaves no views of its own',
    (io) => io.buffers === NO_BUFFERS && io.op === IoOp.Read,
    (io, device) => {
      const done: IoDone = (_inner, status) => io.done(io, status)
      device.submit(copyOf(io, done))
    },
  ),
  treating(
    'rule 3: with no views',
    'leaves views that are too short',
    (io) => io.buffers === NO_BUFFERS && io.op === IoOp.Read,
    (io, device) =>
      resubmit(device, io, {}, (status) => {
        io.buffers = [Buffer.concat(io.buffers).subarray(0, io.length - 512)]
        return status
      }),
  ),
]

const aboutRanges: readonly Mutant<DeviceSuiteOptions>[] = [
  treating(
    'rule 4: the first and the last block',
    'refuses the last block',
    (io, { limits }) => io.op <= IoOp.Write && io.offset + io.length === limits.size,
    (io, device) => resubmit(device, io, {}, () => Errno.EIO),
  ),
  treating(
    'rule 4: transfers of every length',
    'cuts writes at 64 KiB',
    (io) => io.op === IoOp.Write && io.length > 65_536,
    (io, device) => resubmit(device, io, { buffers: [Buffer.concat(io.buffers).subarray(0, 65_536)], length: 65_536 }),
  ),
  mutant('rule 7', 'forgets an Io when another one comes for the same offset', (device) => {
    const waiting = new Map<number, Io>()
    return {
      submit(io) {
        if (waiting.size === 0) {
          queueMicrotask(() => {
            const batch = [...waiting.values()]
            waiting.clear()
            for (const each of batch) device.submit(each)
          })
        }
        waiting.set(io.offset, io)
      },
    }
  }),
]

const aboutStorage: readonly Mutant<DeviceSuiteOptions>[] = [
  treating('rule 5: after a Flush', 'ends Flush without flushing', is(IoOp.Flush), (io, device) =>
    resubmit(device, io, {
      op: IoOp.Read,
      length: device.limits.blockSize,
      buffers: [Buffer.alloc(device.limits.blockSize)],
    }),
  ),
  mutant('rule 5: after a Flush', 'ends writes before they are executed, and Flush before the writes', (device) => ({
    submit(io) {
      if (io.op !== IoOp.Write) return device.submit(io)
      const late = copyOf(io, ignore, { buffers: [Buffer.concat(io.buffers)] })
      queueMicrotask(() => {
        io.done(io, OK)
        setTimeout(() => device.submit(late), 1)
      })
    },
  })),
  treating('rule 5: a write with Fua', 'ignores Fua on writes', is(IoOp.Write), (io, device) =>
    resubmit(device, io, { flags: 0 }),
  ),
  treating('rule 5: WriteZeroes with Fua', 'ignores Fua on zeroes', is(IoOp.WriteZeroes), (io, device) =>
    resubmit(device, io, { flags: io.flags & ~IoFlag.Fua }),
  ),
  treating('rule 6: WriteZeroes', 'zeroes nothing', is(IoOp.WriteZeroes), (io, device) =>
    resubmit(device, io, { op: IoOp.Flush }),
  ),
  treating('rule 6: WriteZeroes', 'zeroes one block too many', is(IoOp.WriteZeroes), (io, device) =>
    resubmit(device, io, { length: io.length + device.limits.blockSize }),
  ),
  treating('rule 6: Trim', 'trims one block too early', is(IoOp.Trim), (io, device) =>
    resubmit(device, io, { offset: Math.max(0, io.offset - device.limits.blockSize) }),
  ),
  treating(
    'rule 6: FastZero',
    'zeroes and then says EOPNOTSUPP',
    (io) => (io.flags & IoFlag.FastZero) !== 0,
    (io, device) => resubmit(device, io, { flags: 0 }, () => Errno.EOPNOTSUPP),
  ),
  treating(
    'rule 6: FastZero',
    'refuses FastZero with EIO',
    (io) => (io.flags & IoFlag.FastZero) !== 0,
    (io, device) => resubmit(device, io, { op: IoOp.Flush }, () => Errno.EIO),
  ),
  treating(
    'rule 6: Trim and WriteZeroes that limits do not offer',
    'accepts a trim that it does not do',
    (io, { limits }) => io.op === IoOp.Trim && !limits.trim,
    (io, device) => resubmit(device, io, { op: IoOp.Flush }),
  ),
  treating('rule 5: without a write cache', 'has a write cache that it denies', is(IoOp.Write), (io, device) => {
    const data = [Buffer.concat(io.buffers)]
    resubmit(device, io, { op: IoOp.Read, buffers: [Buffer.alloc(io.length)] }, (status) => {
      setTimeout(() => device.submit(copyOf(io, ignore, { op: IoOp.Write, buffers: data })), 1)
      return status
    })
  }),
  treating('read-only', 'pretends to write', is(IoOp.Write), (io, device) =>
    resubmit(device, io, {}, (status) => (status === Errno.EPERM ? OK : status)),
  ),
]

const aboutTheEnd: readonly Mutant<DeviceSuiteOptions>[] = [
  mutant('close: every Io in flight', 'settles close at once', (device) => ({
    submit: (io) => {
      const done: IoDone = (inner, status) => {
        if (io.buffers === NO_BUFFERS) io.buffers = inner.buffers
        setImmediate(() => io.done(io, status))
      }
      device.submit(copyOf(io, done))
    },
    close: () => Promise.resolve(),
  })),
  mutant('close: calling it again', 'refuses a second close', (device) => {
    let closed = false
    return {
      close(options) {
        if (closed) return Promise.reject(new Error('already closed'))
        closed = true
        return device.close(options)
      },
    }
  }),
  mutant('close: an Io submitted after', 'ends Ios submitted after close with success', (device) => {
    let closed = false
    return {
      submit: (io) => resubmit(device, io, {}, (status) => (closed ? OK : status)),
      close(options) {
        return device.close(options).then(() => {
          closed = true
        })
      },
    }
  }),
  mutant('close: an Io submitted after', 'drops what is submitted after close', (device) => {
    let closed = false
    return {
      submit: (io) => (closed ? undefined : device.submit(io)),
      close(options) {
        closed = true
        return device.close(options)
      },
    }
  }),
  mutant('rule 12: close', 'drops Ios in flight without done when close has a signal that fired', (device) => {
    let dropped = false
    return {
      submit: (io) => {
        const done: IoDone = (inner, status) => {
          if (io.buffers === NO_BUFFERS) io.buffers = inner.buffers
          if (!dropped) io.done(io, status)
        }
        device.submit(copyOf(io, done))
      },
      close(options) {
        dropped = options?.signal?.aborted === true
        return device.close(options)
      },
    }
  }),
  mutant('rule 12: extents', 'ignores the signal of extents', (device) => ({
    extents: (offset, length) => device.extents!(offset, length),
  })),
  mutant('extents', 'calls everything zero', () => ({
    extents: async (_offset, length) => [{ length, hole: true, zero: true }],
  })),
  mutant('capabilities: limits say', 'has limits that lie', (device) => ({
    limits: { ...device.limits, fua: !device.limits.fua },
  })),
  mutant('capabilities: limits are', 'has a size that is no multiple of its block', (device) => ({
    limits: { ...device.limits, size: device.limits.size - 512 },
  })),
]

/** Broken block devices, each of which {@link deviceSuite} must catch. */
export const deviceMutants: readonly Mutant<DeviceSuiteOptions>[] = [
  ...aboutDone,
  ...aboutBuffers,
  ...aboutRanges,
  ...aboutStorage,
  ...aboutTheEnd,
]
