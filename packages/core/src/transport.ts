import type { BlockDevice, DeviceLimits } from './device.ts'
import type { Events } from './events.ts'
import type { SignalOptions } from './signal.ts'

/** Events of an {@link Attachment}. */
export interface AttachmentEvents {
  /** It ended by itself, such as a node removed by hand, with the reason. */
  lost: Error
}

/** How to attach a device. */
export interface AttachOptions extends SignalOptions {
  /** Name of the export or node. */
  name: string
  /** For people: shown by clients that list exports. */
  description?: string
  /** Vendor and model, for people: what a kernel node is said to be. */
  product?: string
  /** Serial number, for people, likewise. */
  serial?: string
  /** Identity of the volume. A kernel node that a process left behind is taken over by its name and this. */
  volume?: string
}

/**
 * How an attachment ends. `clean`: refused with IN_USE, which names the users, while the kernel node is in
 * use. `force`: whoever uses the node gets EIO. `leave`: the node stays, without a server, for whoever
 * attaches the same volume under the same name next; until then its I/O waits. Exports are always removed.
 */
export type DetachMode = 'clean' | 'force' | 'leave'

/** How to end an attachment, a transport or a pair. */
export interface DetachOptions extends SignalOptions {
  /** @defaultValue 'clean' */
  mode?: DetachMode | undefined
}

/** A kernel block device that blockbraid made, in this process or another. */
export interface KernelNode {
  /** Such as `/dev/nbd0`. */
  readonly node: string
  /** Name of its pair; an empty text where nothing tells it. */
  readonly name: string
  /** Identity of its volume; an empty text where nothing tells it. */
  readonly volume: string
  /** Whether a process serves it; if not, its I/O waits for one, or ends with EIO after a limit. */
  readonly served: boolean
  /** The process that serves it, where one does and its id is known. */
  readonly pid?: number
  /** Who uses it, for people: mount points, holders, processes. */
  readonly users: readonly string[]
}

/** What a transport made of a user-space block device. */
export interface Attachment {
  /** Where applications find it: `/dev/nbd0`, or `nbd+unix:///x?socket=…`. */
  readonly node: string
  /** News of the other side. */
  readonly events: Events<AttachmentEvents>
  /** Whether it is a node that another process left behind, I/O in flight included. */
  readonly tookOver?: boolean
  /** Tells the other side that the device now has `size` bytes. Rejects with NOT_SUPPORTED where the kernel cannot. */
  resize(size: number): Promise<void>
  /**
   * Tells the other side what the device can do now, but for its size. Rejects with NOT_SUPPORTED, and a text of what
   * it keeps, where that cannot be told. Left out: there is nothing to tell.
   */
  follow?(limits: DeviceLimits): Promise<void>
  /**
   * Ends it after what it has in flight, or at once when the signal fires; the device stays open. Rejects with
   * IN_USE as `DetachMode` says; it is then attached as before, and may be detached again.
   */
  detach(options?: DetachOptions): Promise<void>
}

/** Makes kernel block devices, or exports, of user-space block devices. */
export interface Transport {
  /** For people, such as `nbd`. */
  readonly name: string
  /** Rejects with IN_USE where the name is taken, with CLOSED after `close()`. */
  attach(device: BlockDevice, options: AttachOptions): Promise<Attachment>
  /** Kernel nodes of this transport on this host, of any process. */
  nodes?(options?: SignalOptions): Promise<readonly KernelNode[]>
  /** Removes one of `nodes()`. Rejects with IN_USE where it is served or in use and the mode is not `force`. */
  removeNode?(node: string, options?: DetachOptions): Promise<void>
  /**
   * Ends every attachment that is left, and the transport. Where one refuses with IN_USE it rejects; the
   * others have ended then, and it may be closed again.
   */
  close(options?: DetachOptions): Promise<void>
}
