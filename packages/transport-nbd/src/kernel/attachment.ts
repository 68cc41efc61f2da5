import type { AttachmentEvents, DetachMode, DetachOptions, DeviceLimits, Emitter, Events, Host } from '@blockbraid/core'
import { abortable, BlockError, createEmitter, delay, messageOf } from '@blockbraid/core'
import type { Guarded } from '@blockbraid/linux'
import { removeNodeRecord } from '@blockbraid/linux'
import type { NbdAttachment } from '../attachment.ts'
import type { NbdExportStats } from '../export.ts'
import { identityOf } from './identity.ts'
import type { KernelLink } from './link.ts'
import type { Claim, NbdKernel } from './nbd-kernel.ts'
import type { NodeLinks } from './node-links.ts'
import { protectNode, resetNode } from './node-settings.ts'
import { offerLink } from './offer.ts'
import { endServing } from './served.ts'
import { servingProcess } from './serving.ts'

/** A node that the kernel has made or given to us, with everything that belongs to it. */
export interface ServedNode {
  readonly index: number
  readonly backend: string
  readonly links: NodeLinks
  readonly guard: Guarded
  readonly tookOver: boolean
  /** Bytes; sizes are multiples of it. */
  readonly blockSize: number
  /** Milliseconds. */
  readonly takeOverTimeout: number
  /** Whether it refuses writes whatever the device does. */
  readonly readOnly: boolean
}

/** Milliseconds between two offers of a connection. */
export const OFFER_INTERVAL = 100
const GONE_INTERVAL = 20
const GONE_LIMIT = 5000
/** Whoever still has it open may keep it much longer. */
const FORCED_GONE_LIMIT = 1000

/** An attachment that is a kernel node. */
export class NodeAttachment implements NbdAttachment {
  readonly node: string
  readonly tookOver: boolean
  readonly #served: ServedNode
  readonly #kernel: NbdKernel
  readonly #host: Host
  readonly #onOver: () => void
  readonly #events: Emitter<AttachmentEvents> = createEmitter()
  /** Connections that close are no news any more. */
  #closing = false
  #ended: Promise<void> | undefined
  /** The end of one that another program has removed. */
  #loss: Promise<void> | undefined
  /** Ends the wait for what is in flight. */
  #hurry = new AbortController()
  /** Ends the wait for the claim. */
  #claiming = new AbortController()
  #forced = false

  /** `onOver` is called when it has ended, in whatever way. */
  constructor(served: ServedNode, kernel: NbdKernel, host: Host, onOver: () => void) {
    this.node = `/dev/nbd${served.index}`
    this.tookOver = served.tookOver
    this.#served = served
    this.#kernel = kernel
    this.#host = host
    this.#onOver = onOver
    served.links.watch((link) => this.#linkDied(link))
  }

  get events(): Events<AttachmentEvents> {
    return this.#events
  }

  stats(): NbdExportStats {
    return this.#served.links.stats()
  }

  async resize(size: number): Promise<void> {
    const { index, backend, blockSize } = this.#served
    if (!Number.isSafeInteger(size) || size < 0 || size % blockSize !== 0) {
      throw new TypeError(`nbd: size is ${size}; it must be a multiple of ${blockSize} below 2 ** 53`)
    }
    if (this.#closing) throw new BlockError('CLOSED', `${this.node} is detached`)
    const connected = await this.#kernel.reconfigure(index, backend, { size })
    const now = Number(await this.#kernel.read(index, 'size')) * 512
    if (connected && now === size) return
    throw new BlockError('NOT_SUPPORTED', `the kernel refuses a size of ${size} bytes for ${this.node}`)
  }

  async follow(limits: DeviceLimits): Promise<void> {
    const { index, readOnly } = this.#served
    if (this.#closing) throw new BlockError('CLOSED', `${this.node} is detached`)
    if (readOnly) return
    const kept: string[] = []
    if (!(await protectNode(this.#kernel, index, limits.readOnly))) kept.push('stays read-only')
    const noDiscard = (await this.#kernel.read(index, 'queue/discard_max_bytes')) === '0'
    if (limits.trim && noDiscard) kept.push('offers no discard')
    if (kept.length === 0) return
    throw new BlockError('NOT_SUPPORTED', `${this.node} ${kept.join(' and ')} until it is detached and attached again`)
  }

  async detach(options: DetachOptions = {}): Promise<void> {
    const { mode = 'clean', signal } = options
    if (this.#ended === undefined) {
      this.#hurry = new AbortController()
      this.#claiming = new AbortController()
      this.#ended = this.#end(mode)
      // Refused: it is attached as before.
      this.#ended.catch(() => {
        this.#ended = undefined
      })
    } else if (mode === 'force') {
      this.#forced = true
      this.#claiming.abort()
      if (this.#closing) this.#served.links.destroy()
    }
    const hurry = (): void => {
      this.#hurry.abort()
      this.#claiming.abort()
    }
    if (signal?.aborted) hurry()
    else signal?.addEventListener('abort', hurry, { once: true })
    try {
      await this.#ended
    } finally {
      signal?.removeEventListener('abort', hurry)
    }
  }

  async #end(mode: DetachMode): Promise<void> {
    const { index, backend, links } = this.#served
    const { signal } = this.#hurry
    const claim = mode === 'clean' ? await this.#claim(this.#claiming.signal) : undefined
    // Another program was quicker.
    if (this.#loss !== undefined) {
      await claim?.close()
      return this.#loss
    }
    this.#closing = true
    if (mode === 'leave') {
      links.finish()
      await links.drained({ signal })
      if (!this.#forced) {
        // The record and the guard stay: both are for whoever comes next.
        endServing(index, backend)
        this.#onOver()
        return
      }
    }
    // The kernel could wait for room in a socket that we do not read for want of a path.
    if (mode === 'force' || this.#forced) links.destroy()
    try {
      if (await this.#isOurs()) await this.#kernel.disconnect(index)
      else links.destroy()
    } catch (error) {
      this.#closing = mode === 'force'
      this.#forced = false
      throw error
    } finally {
      await claim?.close()
    }
    await links.drained({ signal })
    await this.#gone(mode === 'force' ? FORCED_GONE_LIMIT : GONE_LIMIT)
    await this.#forget()
  }

  /** Keeps others from opening it for themselves until it is gone. */
  async #claim(signal: AbortSignal): Promise<Claim | undefined> {
    try {
      const users = await this.#kernel.users(this.#served.index)
      if (users.length > 0) throw new BlockError('IN_USE', `${this.node} is in use: ${users.join(', ')}`)
    } catch (error) {
      if (!this.#forced && this.#loss === undefined) throw this.#refusal(error)
    }
    // To open it may take I/O, and that may wait for a path.
    const claimed = this.#kernel.claim(this.#served.index)
    try {
      return await abortable(claimed, signal)
    } catch (error) {
      claimed.then((claim) => claim.close()).catch(() => {})
      if (signal.aborted || this.#loss !== undefined) return undefined
      throw this.#refusal(error)
    }
  }

  /** Whoever asked for a clean end must not end what is in use for want of a descriptor. */
  #refusal(error: unknown): BlockError {
    if (BlockError.is(error) && error.code === 'IN_USE') return error
    const message = `whether ${this.node} is in use cannot be told: ${messageOf(error)}`
    return new BlockError('IN_USE', message, { cause: error })
  }

  #linkDied(link: KernelLink): void {
    if (this.#closing) return
    if (link.left) this.#lose(new BlockError('CLOSED', `another program disconnected ${this.node}`))
    else this.#replace().catch((error: unknown) => this.#lose(error))
  }

  /** A new connection for one that the kernel closed, as it does when a request is late. */
  async #replace(): Promise<void> {
    const { index, backend, links, takeOverTimeout } = this.#served
    const end = this.#host.clock.now() + takeOverTimeout * 1000
    while (!this.#closing) {
      let reason: unknown
      // Short of memory or descriptors: to give up now would fail I/O that waits for this.
      const offer = await offerLink(this.#kernel, links, index, backend).catch((error: unknown) => {
        reason = error
      })
      if (offer === 'taken') return
      if (offer === 'gone') throw new BlockError('CLOSED', `another program disconnected ${this.node}`)
      if (this.#host.clock.now() > end)
        throw reason ?? new BlockError('TIMED_OUT', `the kernel takes no connection for ${this.node}`)
      await delay(this.#host.clock, OFFER_INTERVAL)
    }
  }

  #lose(reason: unknown): void {
    if (this.#closing) return
    this.#closing = true
    this.#loss = this.#afterLoss()
    // A detach that waits for the node goes on with this.
    this.#ended ??= this.#loss
    this.#events.emit('lost', reason instanceof Error ? reason : new Error(messageOf(reason)))
  }

  async #afterLoss(): Promise<void> {
    const { index, links } = this.#served
    links.destroy()
    // It may be half of the way only.
    if (await this.#isOurs()) await this.#kernel.disconnect(index).catch(() => {})
    await links.drained({ signal: this.#hurry.signal })
    // What cannot be forgotten is of a process that does not serve it.
    await this.#forget().catch(() => {})
  }

  /** Its number may be another's by now, or the node another process's. */
  async #isOurs(): Promise<boolean> {
    const { index, backend } = this.#served
    if ((await this.#kernel.read(index, 'backend')) !== backend) return false
    const pid = await servingProcess(index, backend)
    return pid === undefined || pid === process.pid
  }

  async #gone(limit: number): Promise<void> {
    const { index, backend } = this.#served
    for (let waited = 0; waited < limit; waited += GONE_INTERVAL) {
      if ((await this.#kernel.read(index, 'backend')) !== backend) return
      await delay(this.#host.clock, GONE_INTERVAL)
    }
  }

  async #forget(): Promise<void> {
    const { index, backend, guard } = this.#served
    guard.forget()
    endServing(index, backend)
    try {
      await removeNodeRecord(`nbd${index}`, { ...identityOf(backend)!, pid: process.pid })
      await resetNode(this.#kernel, index)
    } finally {
      this.#onOver()
    }
  }
}
