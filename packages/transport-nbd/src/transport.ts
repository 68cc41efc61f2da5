import { EventEmitter } from 'node:events'
import type {
  AttachmentEvents,
  AttachOptions,
  BlockDevice,
  DetachOptions,
  Events,
  Host,
  KernelNode,
  SignalOptions,
} from '@blockbraid/core'
import { BlockError, systemHost } from '@blockbraid/core'
import type { NbdAttachment, NbdTransport } from './attachment.ts'
import { KernelTransport } from './kernel/kernel-transport.ts'
import { linuxKernel } from './kernel/linux-kernel.ts'
import type { NbdKernel } from './kernel/nbd-kernel.ts'
import type { NbdKernelOptions } from './kernel/options.ts'
import { checkKernelMode, checkKernelOptions } from './kernel/options.ts'
import type { NbdOptions } from './options.ts'
import { checkOptions } from './options.ts'
import type { NbdServer } from './server.ts'
import { createNbdServer } from './server.ts'

/** Options of the transport: an NBD server's, those of kernel nodes, or both. */
export interface NbdTransportOptions extends NbdOptions, NbdKernelOptions {}

class NbdExports implements NbdTransport {
  readonly name = 'nbd'
  readonly #options: NbdOptions
  readonly #host: Host
  #server: NbdServer | undefined
  #attached = 0
  #closed = false
  /** Opening and closing of the server, one after another. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: NbdOptions, host: Host) {
    this.#options = options
    this.#host = host
  }

  async attach(device: BlockDevice, options: AttachOptions): Promise<NbdAttachment> {
    const { name, description = '', signal } = options
    return this.#inTurn(async () => {
      if (signal?.aborted) throw new BlockError('ABORTED', `attaching ${name} was aborted`, { cause: signal.reason })
      if (this.#closed) throw new BlockError('CLOSED', 'the nbd transport is closed')
      this.#server ??= await createNbdServer(this.#options, this.#host)
      const server = this.#server
      try {
        const added = server.add(device, { name, description })
        this.#attached++
        let detached: Promise<void> | undefined
        return {
          node: added.uri,
          events: new EventEmitter() as Events<AttachmentEvents>,
          resize: async (size: number) => added.resize(size),
          detach: (end: SignalOptions = {}) => {
            const removed = added.remove(end)
            detached ??= removed.then(() => this.#inTurn(() => this.#leave(1)))
            return detached
          },
          stats: () => added.stats(),
        }
      } catch (error) {
        await this.#leave(0)
        throw error
      }
    })
  }

  async close(options: SignalOptions = {}): Promise<void> {
    this.#closed = true
    // Not in turn: a detach that waits for its clients must feel this signal too.
    await this.#server?.close(options)
    await this.#inTurn(() => this.#server?.close(options))
  }

  /** Stops listening when nothing is attached any more. */
  async #leave(count: number): Promise<void> {
    this.#attached -= count
    if (this.#attached > 0 || this.#server === undefined) return
    const server = this.#server
    this.#server = undefined
    await server.close()
  }

  #inTurn<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }
}

/** Kernel nodes where they can be had, else exports. */
class NodesOrExports implements NbdTransport {
  readonly name = 'nbd'
  readonly #nodes: KernelTransport
  readonly #exports: NbdExports

  constructor(nodes: KernelTransport, exports: NbdExports) {
    this.#nodes = nodes
    this.#exports = exports
  }

  async attach(device: BlockDevice, options: AttachOptions): Promise<NbdAttachment> {
    try {
      return await this.#nodes.attach(device, options)
    } catch (error) {
      if (!BlockError.is(error) || (error.code !== 'NOT_SUPPORTED' && error.code !== 'DENIED')) throw error
      const attachment = await this.#exports.attach(device, options)
      return { ...attachment, fallback: error }
    }
  }

  nodes(): Promise<readonly KernelNode[]> {
    return this.#nodes.nodes()
  }

  removeNode(node: string, options?: DetachOptions): Promise<void> {
    return this.#nodes.removeNode(node, options)
  }

  async close(options?: DetachOptions): Promise<void> {
    const ends = await Promise.allSettled([this.#nodes.close(options), this.#exports.close(options)])
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}

/**
 * Makes a transport that exports devices over NBD, `{ socket }` or `{ host, port }`, or makes kernel nodes of
 * them, `{ kernel: true }`. All exports share one server, which listens while there is any. Throws TypeErrors
 * for wrong options.
 */
export function nbd(options: NbdTransportOptions, host: Host = systemHost): NbdTransport {
  return nbdTransport(options, host, linuxKernel)
}

/** The same on a kernel of the caller's choice. */
export function nbdTransport(options: NbdTransportOptions, host: Host, kernel: NbdKernel): NbdTransport {
  const mode = typeof options === 'object' && options !== null ? checkKernelMode({ ...options }) : false
  if (mode === true) return new KernelTransport(checkKernelOptions(options), kernel, host)
  checkOptions(options)
  const exports = new NbdExports({ ...options }, host)
  return mode === false
    ? exports
    : new NodesOrExports(new KernelTransport(checkKernelOptions(options), kernel, host), exports)
}
