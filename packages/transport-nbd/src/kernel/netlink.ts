import type { NetlinkAttribute, NetlinkMessage } from '@blockbraid/linux'
import { nested, text, u32, u64 } from '@blockbraid/linux'

/** Generic netlink family, commands and attributes of the nbd driver (include/uapi/linux/nbd-netlink.h). */
export const NBD_FAMILY = 'nbd'

export const NbdCommand = { Connect: 1, Disconnect: 2, Reconfigure: 3 } as const

export const NbdAttribute = {
  Index: 1,
  SizeBytes: 2,
  BlockSizeBytes: 3,
  Timeout: 4,
  ServerFlags: 5,
  ClientFlags: 6,
  Sockets: 7,
  DeadConnTimeout: 8,
  BackendIdentifier: 10,
} as const

const SOCK_ITEM = 1
const SOCK_FD = 1

/** What a new node is made of. */
export interface ConnectSpec {
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: number
  /** Transmission flags of the NBD protocol. */
  readonly flags: number
  /** The kernel's ends. */
  readonly sockets: readonly number[]
  readonly backend: string
  /** Milliseconds; 0 for none. */
  readonly requestTimeout: number
  /** Milliseconds. */
  readonly takeOverTimeout: number
}

/** What to change of a node. */
export interface NodeChange {
  /** A kernel's end, taken where a connection of the node is dead, else ignored. */
  readonly socket?: number
  /** Bytes. */
  readonly size?: number
  /** Milliseconds. */
  readonly takeOverTimeout?: number
}

const seconds = (milliseconds: number): number => Math.ceil(milliseconds / 1000)

function sockets(fds: readonly number[]): NetlinkAttribute {
  const items = fds.map((fd) => nested(SOCK_ITEM, [u32(SOCK_FD, fd)]))
  return nested(NbdAttribute.Sockets, items)
}

/** Attributes of Connect; the kernel chooses the index. */
export function connectAttributes(spec: ConnectSpec): NetlinkAttribute[] {
  return [
    u64(NbdAttribute.SizeBytes, spec.size),
    u64(NbdAttribute.BlockSizeBytes, spec.blockSize),
    u64(NbdAttribute.ServerFlags, spec.flags),
    u64(NbdAttribute.ClientFlags, 0),
    u64(NbdAttribute.DeadConnTimeout, seconds(spec.takeOverTimeout)),
    ...(spec.requestTimeout === 0 ? [] : [u64(NbdAttribute.Timeout, seconds(spec.requestTimeout))]),
    text(NbdAttribute.BackendIdentifier, spec.backend),
    sockets(spec.sockets),
  ]
}

/** Attributes of Reconfigure; the kernel refuses with EINVAL where the node has another backend or is not connected. */
export function reconfigureAttributes(index: number, backend: string, change: NodeChange): NetlinkAttribute[] {
  const { size, socket, takeOverTimeout } = change
  return [
    u32(NbdAttribute.Index, index),
    text(NbdAttribute.BackendIdentifier, backend),
    ...(size === undefined ? [] : [u64(NbdAttribute.SizeBytes, size)]),
    ...(takeOverTimeout === undefined ? [] : [u64(NbdAttribute.DeadConnTimeout, seconds(takeOverTimeout))]),
    ...(socket === undefined ? [] : [sockets([socket])]),
  ]
}

/** Attributes of Disconnect. */
export function disconnectAttributes(index: number): NetlinkAttribute[] {
  return [u32(NbdAttribute.Index, index)]
}

/** The index that the kernel chose, out of its answer to Connect. */
export function chosenIndex(messages: readonly NetlinkMessage[]): number {
  for (const { attributes } of messages) {
    const index = attributes.find(({ type }) => type === NbdAttribute.Index)
    if (index !== undefined && index.value.length === 4) return index.value.readInt32LE(0)
  }
  throw new Error('the kernel did not say which node it chose')
}
