import type { BlockDevice, SignalOptions } from './device.ts'
import type { Events } from './events.ts'

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
}

/** What a transport made of a user-space block device. */
export interface Attachment {
  /** Where applications find it: `/dev/nbd0`, or `nbd+unix:///x?socket=…`. */
  readonly node: string
  /** News of the other side. */
  readonly events: Events<AttachmentEvents>
  /** Tells the other side that the device now has `size` bytes. */
  resize(size: number): Promise<void>
  /** Ends it after what it has in flight, or at once when the signal fires; the device stays open. */
  detach(options?: SignalOptions): Promise<void>
}

/** Makes kernel block devices, or exports, of user-space block devices. */
export interface Transport {
  /** For people, such as `nbd`. */
  readonly name: string
  /** Rejects with IN_USE where the name is taken, with CLOSED after `close()`. */
  attach(device: BlockDevice, options: AttachOptions): Promise<Attachment>
  /** Ends every attachment that is left, and the transport. */
  close(options?: SignalOptions): Promise<void>
}
