import type { BlockDevice, SignalOptions, Transport } from '@blockbraid/core'
import { BlockError, Errno, errnoOf, Io, IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { TransportClient } from '../harness/transport-client.ts'
import { createEmitter } from './emitter.ts'

interface Export {
  readonly device: BlockDevice
  size: number
  readonly inflight: Set<(error: Error) => void>
  idle: () => void
  end: Promise<void> | undefined
}

/** A transport inside the process, and the way in for its clients. */
export interface MinimalTransport {
  /** The transport. */
  readonly transport: Transport
  /** Opens what it has attached. */
  connect(node: string): Promise<TransportClient>
}

function request(io: Partial<Io>): Io {
  return Object.assign(new Io(), io)
}

/** Submits one Io for a client of an export. */
function submit(entry: Export, io: Io): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (entry.end !== undefined) return reject(new BlockError('CLOSED', 'the export is gone'))
    entry.inflight.add(reject)
    io.done = (_io, status) => {
      entry.inflight.delete(reject)
      if (status === 0) resolve(Buffer.concat(io.buffers))
      else reject(BlockError.fromStatus('request', errnoOf(status)))
      if (entry.inflight.size === 0) entry.idle()
    }
    entry.device.submit(io)
  })
}

function clientOf(entry: Export): TransportClient {
  let closed = false
  const run = (io: Partial<Io>): Promise<Uint8Array> =>
    closed
      ? Promise.reject(new BlockError('CLOSED', 'the client is closed', { errno: Errno.ESHUTDOWN }))
      : submit(entry, request(io))
  return {
    size: entry.size,
    read: (offset, length) => run({ op: IoOp.Read, offset, length, buffers: NO_BUFFERS }),
    async write(offset, data, { fua = false } = {}) {
      await run({ op: IoOp.Write, offset, length: data.length, buffers: [data], flags: fua ? IoFlag.Fua : 0 })
    },
    async flush() {
      await run({ op: IoOp.Flush })
    },
    async trim(offset, length) {
      await run({ op: IoOp.Trim, offset, length })
    },
    async writeZeroes(offset, length) {
      await run({ op: IoOp.WriteZeroes, offset, length })
    },
    async close() {
      closed = true
    },
  }
}

function detach(entry: Export, { signal }: SignalOptions = {}): Promise<void> {
  entry.end ??= new Promise((resolve) => {
    entry.idle = resolve
    if (entry.inflight.size === 0) resolve()
    const drop = (): void => {
      for (const reject of entry.inflight) reject(new BlockError('CLOSED', 'detached'))
      resolve()
    }
    if (signal?.aborted) drop()
    else signal?.addEventListener('abort', drop, { once: true })
  })
  return entry.end
}

/** A transport whose nodes exist in this process only. It is not a reference implementation. */
export function createMinimalTransport(): MinimalTransport {
  const entries = new Map<string, Export>()
  let end: Promise<void> | undefined
  const transport: Transport = {
    name: 'minimal',
    async attach(device, { name, signal }) {
      if (end !== undefined) throw new BlockError('CLOSED', 'the transport is closed')
      if (signal?.aborted) throw new BlockError('ABORTED', 'the signal has fired', { cause: signal.reason })
      const node = `minimal:${name}`
      if (entries.has(node)) throw new BlockError('IN_USE', `${node} is taken`)
      const { size } = device.limits
      const entry: Export = { device, size, inflight: new Set(), idle() {}, end: undefined }
      entries.set(node, entry)
      return {
        node,
        events: createEmitter(),
        async resize(bytes) {
          entry.size = bytes
        },
        async detach(options) {
          await detach(entry, options)
          if (entries.get(node) === entry) entries.delete(node)
        },
      }
    },
    close(options) {
      end ??= Promise.all([...entries.values()].map((entry) => detach(entry, options))).then(() => entries.clear())
      return end
    },
  }
  return {
    transport,
    async connect(node) {
      const entry = entries.get(node)
      if (entry === undefined) throw new BlockError('NOT_FOUND', `no ${node}`)
      return clientOf(entry)
    },
  }
}
