import { EventEmitter } from 'node:events'
import type {
  Attachment,
  AttachmentEvents,
  AttachOptions,
  BlockDevice,
  Events,
  Host,
  SignalOptions,
  Transport,
} from '@blockbraid/core'
import { BlockError, systemHost } from '@blockbraid/core'
import type { NbdExportStats } from './export.ts'
import type { NbdOptions } from './options.ts'
import { checkOptions } from './options.ts'
import type { NbdServer } from './server.ts'
import { createNbdServer } from './server.ts'

/** An attachment that also tells its counters. */
export interface NbdAttachment extends Attachment {
  /** Counters since it was attached. */
  stats(): NbdExportStats
}

/** A transport whose attachments are exports of one NBD server. */
export interface NbdTransport extends Transport {
  /** Adds an export named `options.name`. */
  attach(device: BlockDevice, options: AttachOptions): Promise<NbdAttachment>
}

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

/**
 * Makes a transport that exports devices over NBD: `{ socket }`, or `{ host, port }`. All attachments
 * share one server, which listens while there is any. Throws TypeErrors for wrong options.
 */
export function nbd(options: NbdOptions, host: Host = systemHost): NbdTransport {
  checkOptions(options)
  return new NbdExports({ ...options }, host)
}
