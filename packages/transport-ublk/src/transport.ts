import type {
  AttachOptions,
  BlockDevice,
  Clock,
  DetachOptions,
  Host,
  KernelNode,
  SignalOptions,
  Transport,
} from '@blockbraid/core'
import { BlockError, systemHost, throwIfAborted } from '@blockbraid/core'
import { attachNode } from './attach.ts'
import type { UblkAttachment } from './attachment.ts'
import type { Context } from './context.ts'
import { namesOf } from './context.ts'
import type { Control } from './control.ts'
import { openControl } from './control.ts'
import { blockError } from './errors.ts'
import { listNodes, removeNode } from './nodes.ts'
import type { UblkOptions, UblkSettings } from './options.ts'
import { checkOptions } from './options.ts'
import type { UblkSystem } from './system.ts'
import { linuxSystem } from './system.ts'

/** A transport whose attachments are nodes of the ublk driver. */
export type UblkTransport = Required<Transport>

class UblkNodes implements UblkTransport {
  readonly name = 'ublk'
  readonly #settings: UblkSettings
  readonly #system: UblkSystem
  readonly #clock: Clock
  readonly #attachments = new Set<UblkAttachment>()
  /** Attaches under way, and what ends them. */
  readonly #attaching = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  #control: Promise<Control> | undefined
  #closed = false

  constructor(settings: UblkSettings, system: UblkSystem, clock: Clock) {
    this.#settings = settings
    this.#system = system
    this.#clock = clock
  }

  async attach(device: BlockDevice, options: AttachOptions): Promise<UblkAttachment> {
    throwIfAborted(options.signal)
    if (this.#closed) throw closedError()
    const attaching = this.#attach(device, options)
    this.#attaching.add(attaching)
    try {
      return await attaching
    } finally {
      this.#attaching.delete(attaching)
    }
  }

  async #attach(device: BlockDevice, options: AttachOptions): Promise<UblkAttachment> {
    const { name, volume = '', product, serial } = options
    const signal = AbortSignal.any([this.#stop.signal, ...(options.signal === undefined ? [] : [options.signal])])
    const names = namesOf(this.#system)
    if (names.has(name)) throw new BlockError('IN_USE', `ublk: this process has a node named ${name} already`)
    names.add(name)
    let attachment: UblkAttachment | undefined
    const onEnded = (): void => {
      names.delete(name)
      if (attachment !== undefined) this.#attachments.delete(attachment)
    }
    try {
      attachment = await attachNode(await this.#context(), device, { name, volume, product, serial }, onEnded, {
        signal,
      })
    } catch (error) {
      names.delete(name)
      throw blockError(error, `${name} cannot be attached`)
    }
    this.#attachments.add(attachment)
    // A take-over is not given up half-way; `close` then ends it as it was told.
    if (this.#closed) throw closedError()
    return attachment
  }

  async nodes({ signal }: SignalOptions = {}): Promise<readonly KernelNode[]> {
    return listNodes(await this.#context(), signal)
  }

  async removeNode(node: string, options: DetachOptions = {}): Promise<void> {
    await removeNode(await this.#context(), node, options)
  }

  async close(options: DetachOptions = {}): Promise<void> {
    this.#closed = true
    this.#stop.abort(closedError())
    await Promise.allSettled(this.#attaching)
    const ends = await Promise.allSettled(Array.from(this.#attachments, (one) => one.detach(options)))
    const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
    if (errors.length > 0) throw errors[0]
    const control = this.#control
    this.#control = undefined
    ;(await control?.catch(() => undefined))?.close()
  }

  async #context(): Promise<Context> {
    if (this.#control === undefined) {
      const opening = openControl(this.#system, this.#clock)
      this.#control = opening
      opening.catch(() => {
        if (this.#control === opening) this.#control = undefined
      })
    }
    return { control: await this.#control, system: this.#system, clock: this.#clock, settings: this.#settings }
  }
}

function closedError(): BlockError {
  return new BlockError('CLOSED', 'the ublk transport is closed')
}

/** What {@link ublk} does, on a system of your own. */
export function ublkOn(system: UblkSystem, options: UblkOptions, host: Host): UblkTransport {
  return new UblkNodes(checkOptions(options), system, host.clock)
}

/**
 * Makes a transport that turns devices into kernel block devices `/dev/ublkbN` (Linux 6.0 and newer, as root).
 * The driver is opened by the first call; it rejects with NOT_SUPPORTED or DENIED, and says what is missing.
 * Throws TypeErrors for wrong options.
 */
export function ublk(options: UblkOptions = {}, host: Host = systemHost): UblkTransport {
  return ublkOn(linuxSystem, options, host)
}
