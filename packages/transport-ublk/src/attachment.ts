import type { Attachment, AttachmentEvents, DetachOptions, DeviceLimits, Emitter } from '@blockbraid/core'
import { abortable, BlockError, createEmitter, Errno, messageOf } from '@blockbraid/core'
import type { Context, Names } from './context.ts'
import { leaveUnfinished, protector } from './context.ts'
import { blockName, canResize, deleteDevice, deviceInfo, quiesceDevice, stopDevice, updateSize } from './driver.ts'
import { blockError, codeOf, refusedWith } from './errors.ts'
import { recordFor, sameIdentity } from './identity.ts'
import { deleteNode } from './nodes.ts'
import { Attribute, Flag } from './protocol.ts'
import type { Server } from './server.ts'
import type { DeviceInfo, Parameters } from './structs.ts'
import type { ExclusiveHold } from './system.ts'

/** Milliseconds that a full queue may take until it has room to be told that its server goes. */
const QUIESCE_LIMIT = 10_000

/** What an attachment is made of. */
export interface AttachmentParts {
  readonly info: DeviceInfo
  readonly names: Names
  readonly server: Server
  /** What the driver was told when the node was made. */
  readonly parameters: Parameters
  readonly tookOver: boolean
  /** Settles when the driver ends the node by itself, to the errno. */
  readonly aborted: Promise<number>
  readonly guard: { forget(): void }
  /** Called once, when it has ended. */
  readonly onEnded: () => void
}

/** A node that this process serves. */
export class UblkAttachment implements Attachment {
  readonly node: string
  readonly events: Emitter<AttachmentEvents> = createEmitter()
  readonly tookOver: boolean
  readonly #context: Context
  readonly #parts: AttachmentParts
  readonly #kname: string
  #ending: Promise<void> | undefined
  #hurry: () => void = () => {}

  constructor(context: Context, parts: AttachmentParts) {
    this.#context = context
    this.#parts = parts
    this.tookOver = parts.tookOver
    this.#kname = blockName(parts.info.id)
    this.node = `/dev/${this.#kname}`
    void parts.aborted.then((errno) => this.#lost(errno))
  }

  async resize(size: number): Promise<void> {
    const { info } = this.#parts
    if (this.#ending !== undefined) throw new BlockError('CLOSED', `${this.node} is detached`)
    if (!canResize(info)) {
      throw new BlockError(
        'NOT_SUPPORTED',
        `ublk: this kernel (Linux ${this.#context.system.release}) cannot change the size of ${this.node}, Linux 6.16 can: it keeps its size until it is detached and attached again`,
      )
    }
    try {
      await updateSize(this.#context.control, info, size)
    } catch (error) {
      throw blockError(error, `${this.node} cannot be resized`)
    }
  }

  async follow(limits: DeviceLimits): Promise<void> {
    if (this.#ending !== undefined) throw new BlockError('CLOSED', `${this.node} is detached`)
    const kept: string[] = []
    const { attributes, maxDiscardSectors } = this.#parts.parameters
    if (!(await this.#protect(limits.readOnly))) kept.push(limits.readOnly ? 'stays writable' : 'stays read-only')
    const madeReadOnly = (attributes & Attribute.ReadOnly) !== 0
    if (limits.trim && maxDiscardSectors === 0 && !madeReadOnly) kept.push('offers no discard')
    if (kept.length === 0) return
    throw new BlockError('NOT_SUPPORTED', `${this.node} ${kept.join(' and ')} until it is detached and attached again`)
  }

  async #protect(readOnly: boolean): Promise<boolean> {
    const protect = protector(this.#context)
    if (protect === undefined) return readOnly === ((this.#parts.parameters.attributes & Attribute.ReadOnly) !== 0)
    try {
      return await protect(this.#kname, readOnly)
    } catch (error) {
      throw blockError(error, `${this.node} cannot be made ${readOnly ? 'read-only' : 'writable'}`)
    }
  }

  async detach({ mode = 'clean', signal }: DetachOptions = {}): Promise<void> {
    const hold = mode === 'clean' && this.#ending === undefined ? await this.#holdFree(signal) : undefined
    const hurry = (): void => this.#hurry()
    try {
      if (this.#ending !== undefined) await hold?.release()
      this.#ending ??= mode === 'leave' ? this.#leave() : this.#stop(hold)
      if (signal?.aborted) hurry()
      signal?.addEventListener('abort', hurry)
      await this.#ending
    } catch (error) {
      throw blockError(error, `${this.node} cannot be detached`)
    } finally {
      signal?.removeEventListener('abort', hurry)
      await hold?.release()
    }
  }

  /** Keeps others from mounting the node, with everything written back. Rejects with IN_USE where it is in use. */
  async #holdFree(signal: AbortSignal | undefined): Promise<ExclusiveHold | undefined> {
    const { system } = this.#context
    const users = await system.users(this.#kname)
    if (users.length > 0) throw this.#inUse(users.join(', '))
    let hold: ExclusiveHold
    try {
      hold = await system.hold(this.#kname)
    } catch (error) {
      if (codeOf(error) === 'EBUSY') throw this.#inUse('another part of this host')
      // It is gone already, or this user may not open it.
      return undefined
    }
    try {
      if (!signal?.aborted) await abortable(hold.sync(), signal)
    } catch (error) {
      if (signal?.aborted || this.#ending !== undefined) return hold
      await hold.release()
      throw new BlockError(
        'IO_FAILED',
        `${this.node} is not detached, since what the kernel holds back for it cannot be written (${messageOf(error)}); mode \`force\` drops it`,
        { cause: error },
      )
    }
    return hold
  }

  #inUse(users: string): BlockError {
    return new BlockError('IN_USE', `${this.node} is in use: ${users}`)
  }

  async #stop(hold: ExclusiveHold | undefined): Promise<void> {
    const { server } = this.#parts
    // The driver waits for what the device works on, and fails the rest by itself.
    server.refuse()
    this.#hurry = () => server.abandon()
    await this.#remove(hold)
  }

  async #leave(): Promise<void> {
    const { info, server, names, onEnded } = this.#parts
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve
    })
    if ((info.flags & Flag.Quiesce) !== 0) {
      // Requests that arrive before the driver has stopped handing them out are served as ever.
      const quiesced = quiesceDevice(this.#context.control, info, QUIESCE_LIMIT).catch(() => {})
      await Promise.race([quiesced, hurried])
    }
    server.hold()
    await Promise.race([server.idle(), hurried])
    server.close(true)
    if (server.inflight > 0) leaveUnfinished(this.#context.system, names, server.idle())
    onEnded()
  }

  /** Called when the driver has ended the queues' commands. */
  async #lost(errno: number): Promise<void> {
    if (this.#ending !== undefined) return
    this.#parts.server.abandon()
    this.#ending = this.#clear().catch(() => {})
    await this.#ending
    const why =
      errno === Errno.ENODEV
        ? 'another process stopped it, or the driver is gone'
        : `the driver refused a command of its queue (errno ${errno})`
    this.events.emit('lost', new BlockError('CLOSED', `${this.node} ended by itself: ${why}`))
  }

  /** Removes what is left of a node that others have stopped. One that they have deleted too is no more, or is theirs. */
  async #clear(): Promise<void> {
    const { info, names, server, guard, onEnded } = this.#parts
    const { control, system, clock } = this.#context
    let stopped = false
    try {
      const written = await system.readRecord(this.#kname)
      const ours = recordFor(info, written)?.pid === system.pid
      const device = ours && (await this.#isThere())
      if (device) await stopDevice(control, info).catch(ignoreGone)
      stopped = true
      if (ours) await system.removeRecord(this.#kname)
      // Nobody else gets the number before its character device is closed.
      const deleted = device ? deleteDevice(control, info, clock) : undefined
      server.close()
      if (server.inflight > 0) leaveUnfinished(system, names, server.idle())
      await deleted
      guard.forget()
    } finally {
      if (!stopped) server.close(true)
      onEnded()
    }
  }

  async #isThere(): Promise<boolean> {
    const { info } = this.#parts
    const { control, system } = this.#context
    // Older drivers tell of a deleted device as long as somebody has its character device open.
    if (!(await system.devices()).includes(info.id)) return false
    const now = await deviceInfo(control, info.id)
    return now !== undefined && sameIdentity(now, info)
  }

  async #remove(hold?: ExclusiveHold): Promise<void> {
    const { info, names, server, guard, onEnded } = this.#parts
    const { control, system } = this.#context
    let stopped = false
    try {
      await stopDevice(control, info).catch(ignoreGone)
      stopped = true
      server.close()
      if (server.inflight > 0) leaveUnfinished(system, names, server.idle())
      // The driver may wait until nobody has the disk open.
      await hold?.release()
      await deleteNode(this.#context, info)
      guard.forget()
    } finally {
      // What is not stopped may still get requests, until the driver has seen that nobody serves it.
      if (!stopped) server.close(true)
      onEnded()
    }
  }
}

function ignoreGone(error: unknown): void {
  if (!refusedWith(error, Errno.ENODEV)) throw error
}
