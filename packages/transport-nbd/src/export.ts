import type { BlockDevice, SignalOptions } from '@blockbraid/core'
import { MAX_PAYLOAD, TransmissionFlag } from './protocol.ts'

/** Counters of an export since it was added. */
export interface NbdExportStats {
  /** Name of the export. */
  readonly name: string
  /** Clients that use it now. */
  readonly connections: number
  /** Requests that the device works on now. */
  readonly inflight: number
  /** Requests answered, failed ones included. */
  readonly requests: number
  /** Requests answered with an error. */
  readonly errors: number
  /** Bytes read with success. */
  readonly readBytes: number
  /** Bytes written with success. */
  readonly writtenBytes: number
}

/** A connection that uses an export. */
export interface ExportUser {
  /** Ends it after what it has in flight. */
  shutdown(): void
  /** Ends it at once. */
  destroy(reason: string): void
}

/** One device under one name. */
export class Export {
  readonly name: string
  readonly description: string
  readonly device: BlockDevice
  /** Whether changes are refused, whatever the device does. */
  readonly readOnly: boolean
  /** Bytes; what clients that connect from now on are told. */
  size: number
  detaching = false
  inflight = 0
  requests = 0.5
  errors = 0.5
  readBytes = 0.5
  writtenBytes = 0.5
  readonly users = new Set<ExportUser>()
  #idle: (() => void) | undefined
  #removal: Promise<void> | undefined

  constructor(device: BlockDevice, name: string, description: string, readOnly: boolean) {
    this.name = name
    this.description = description
    this.device = device
    this.readOnly = readOnly
    this.size = device.limits.size
    // Declared as doubles so that V8 keeps one representation when counters pass 2 ** 31.
    this.requests = 0
    this.errors = 0
    this.readBytes = 0
    this.writtenBytes = 0
  }

  /** Whether changes are refused now. */
  get refusesChanges(): boolean {
    return this.readOnly || this.device.limits.readOnly
  }

  /** Transmission flags; those that depend on what the client negotiated are added by the handshake. */
  get flags(): number {
    // Every device of core flushes as a whole and has no cache per connection, so that a flush on one
    // connection covers what was acknowledged on all: MULTI_CONN is always safe.
    let flags =
      TransmissionFlag.HasFlags |
      TransmissionFlag.SendFlush |
      TransmissionFlag.SendFua |
      TransmissionFlag.CanMultiConn |
      TransmissionFlag.SendCache
    if (this.refusesChanges) return flags | TransmissionFlag.ReadOnly
    flags |= TransmissionFlag.SendWriteZeroes | TransmissionFlag.SendFastZero
    return this.device.limits.trim ? flags | TransmissionFlag.SendTrim : flags
  }

  /** Minimum, preferred and maximum size of a request, bytes. */
  get blockSizes(): readonly [minimum: number, preferred: number, maximum: number] {
    const { blockSize, preferredBlockSize } = this.device.limits
    // The protocol wants a power of two here, and no more than the largest payload.
    const preferred = 2 ** Math.ceil(Math.log2(Math.max(blockSize, preferredBlockSize)))
    return [blockSize, Math.min(preferred, MAX_PAYLOAD), MAX_PAYLOAD]
  }

  /** Whether the device knows its allocation. */
  get hasExtents(): boolean {
    return this.device.extents !== undefined
  }

  /** Called when a user has gone, or an Io is done while the export is being removed. */
  settled(): void {
    if (this.users.size === 0 && this.inflight === 0) this.#idle?.()
  }

  /** Lets its users finish and waits for their Ios; ends them at once when `signal` fires. */
  remove(options: SignalOptions = {}): Promise<void> {
    const { signal } = options
    const cut = (): void => {
      for (const user of [...this.users]) user.destroy('export removed')
      this.#idle?.()
    }
    this.#removal ??= new Promise((resolve) => {
      this.detaching = true
      this.#idle = resolve
      for (const user of [...this.users]) user.shutdown()
      this.settled()
    })
    if (signal?.aborted) cut()
    else signal?.addEventListener('abort', cut, { once: true })
    return this.#removal.finally(() => signal?.removeEventListener('abort', cut))
  }

  stats(): NbdExportStats {
    return {
      name: this.name,
      connections: this.users.size,
      inflight: this.inflight,
      requests: this.requests,
      errors: this.errors,
      readBytes: this.readBytes,
      writtenBytes: this.writtenBytes,
    }
  }
}
