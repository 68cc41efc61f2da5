import type { Attachment, BlockDevice, Io, IoDone, Transport } from '@blockbraid/core'
import { Errno, Io as IoClass, IoFlag, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import { forward } from '../doubles/forward.ts'
import type { Mutant } from '../harness/mutant.ts'
import type { TransportSuiteOptions } from '../suites/transport-scope.ts'

function mutant(
  breaks: string,
  name: string,
  breaking: (transport: Transport) => Partial<Transport>,
): Mutant<TransportSuiteOptions> {
  return {
    name,
    breaks,
    apply(options) {
      const open = async (): Promise<Transport> => {
        const transport = await options.open()
        return {
          name: transport.name,
          attach: (device, how) => transport.attach(device, how),
          close: (how) => transport.close(how),
          ...breaking(transport),
        }
      }
      return { ...options, open }
    },
  }
}

/** A transport that does something to the Ios on their way to the device. */
function changing(
  breaks: string,
  name: string,
  change: (io: Io) => Partial<Io>,
  status?: number,
): Mutant<TransportSuiteOptions> {
  const changed = (device: BlockDevice): BlockDevice =>
    forward(device, {
      submit(io) {
        const { op, flags, offset, length, buffers } = io
        const done: IoDone = (inner, outcome) => {
          if (io.buffers === NO_BUFFERS) io.buffers = inner.buffers
          io.done(io, outcome !== OK && status !== undefined ? status : outcome)
        }
        device.submit(Object.assign(new IoClass(), { op, flags, offset, length, buffers, done }, change(io)))
      },
    })
  return mutant(breaks, name, (transport) => ({ attach: (device, how) => transport.attach(changed(device), how) }))
}

/** A transport whose attachments are broken. */
function attaching(
  breaks: string,
  name: string,
  breaking: (attachment: Attachment, device: BlockDevice) => Partial<Attachment>,
): Mutant<TransportSuiteOptions> {
  return mutant(breaks, name, (transport) => ({
    async attach(device, how) {
      const attachment = await transport.attach(device, how)
      const { node, events } = attachment
      return {
        node,
        events,
        resize: (size) => attachment.resize(size),
        detach: (options) => attachment.detach(options),
        ...breaking(attachment, device),
      }
    },
  }))
}

const changesBlocks = (io: Io): boolean => io.op === IoOp.Write || io.op === IoOp.Trim || io.op === IoOp.WriteZeroes

/** Broken transports, each of which {@link transportSuite} must catch. */
export const transportMutants: readonly Mutant<TransportSuiteOptions>[] = [
  changing('data: what a client writes', 'shifts writes by a block', ({ op, offset }) => ({
    offset: op === IoOp.Write && offset > 0 ? offset - 512 * 8 : offset,
  })),
  changing('data: what is on the device', 'reads its first block for every request', ({ op, offset }) => ({
    offset: op === IoOp.Read ? 0 : offset,
  })),
  changing('rule 7', 'reads where the request before it has written', ({ op, offset, length }) => ({
    offset: op === IoOp.Read ? Math.max(0, offset - length) : offset,
  })),
  changing('rule 5: flush', 'swallows flushes', (io) => (io.op === IoOp.Flush ? { op: IoOp.Trim, length: 4096 } : {})),
  changing('rule 5: a write with FUA', 'drops FUA', ({ flags }) => ({ flags: flags & ~IoFlag.Fua })),
  changing('rule 5: a plain write', 'adds FUA', (io) => ({
    flags: changesBlocks(io) ? io.flags | IoFlag.Fua : io.flags,
  })),
  changing('rule 6', 'makes a trim of each write-zeroes', (io) =>
    io.op === IoOp.WriteZeroes ? { op: IoOp.Trim } : {},
  ),
  changing('rule 1', 'submits writes whose views are too short', ({ op, buffers }) =>
    op === IoOp.Write ? { buffers: [Buffer.concat(buffers).subarray(512)] } : {},
  ),
  changing('errors', 'turns every error into ENOSPC', () => ({}), Errno.ENOSPC),
  mutant('attach: two attachments', 'leads every attachment to the first device', (transport) => {
    let first: BlockDevice | undefined
    return {
      attach(device, how) {
        first ??= device
        return transport.attach(first, how)
      },
    }
  }),
  mutant('attach: a name', 'takes a name twice', (transport) => {
    let last: Attachment | undefined
    return {
      async attach(device, how) {
        try {
          last = await transport.attach(device, how)
        } catch (error) {
          if (last === undefined) throw error
        }
        return last
      },
    }
  }),
  attaching('resize', 'ignores a resize', () => ({ resize: async () => {} })),
  attaching('detach: it waits', 'drops Ios in flight on detach', (attachment) => ({
    detach: () => attachment.detach({ signal: AbortSignal.abort() }),
  })),
  attaching('detach: it waits', 'closes the device on detach', (attachment, device) => ({
    async detach(options) {
      await attachment.detach(options)
      await device.close()
    },
  })),
  attaching('detach: calling it again', 'refuses a second detach', (attachment) => {
    let detached = false
    return {
      detach(options) {
        if (detached) return Promise.reject(new Error('already detached'))
        detached = true
        return attachment.detach(options)
      },
    }
  }),
  attaching('rule 12: detach', 'ignores the signal of detach', (attachment) => ({ detach: () => attachment.detach() })),
  mutant('rule 12: attach', 'ignores the signal of attach', (transport) => ({
    attach: (device, { name }) => transport.attach(device, { name }),
  })),
  mutant('clients', 'closes the device under its clients', (transport) => ({
    attach(device, how) {
      let reads = 0
      const fragile = forward(device, {
        submit(io) {
          if (io.op === IoOp.Read) reads++
          device.submit(io)
          if (reads === 8) void device.close()
        },
      })
      return transport.attach(fragile, how)
    },
  })),
  mutant('close', 'leaves attachments open', () => ({ close: async () => {} })),
]
