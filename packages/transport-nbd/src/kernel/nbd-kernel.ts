import type { Guarded } from '@blockbraid/linux'
import type { ConnectSpec, NodeChange } from './netlink.ts'

/** A node of the nbd driver that has a backend identifier. */
export interface BackedNode {
  /** The N of `/dev/nbdN`. */
  readonly index: number
  readonly backend: string
}

/** A node that nobody else can open for itself. */
export interface Claim {
  close(): Promise<void>
}

/** What a transport asks of the kernel and its host; errors are BlockErrors. Tests put another in its place. */
export interface NbdKernel {
  /** Rejects with NOT_SUPPORTED or DENIED where this process cannot make nodes here. */
  ready(): Promise<void>
  /** Makes a node; resolves to its index. */
  connect(spec: ConnectSpec): Promise<number>
  /** Changes a node. Resolves to false where it is not connected, or has another backend. */
  reconfigure(index: number, backend: string, change: NodeChange): Promise<boolean>
  /** Disconnects a node, whatever its I/O; I/O that waits ends with EIO. */
  disconnect(index: number): Promise<void>
  /** Nodes with a backend, of any program. */
  nodes(): Promise<readonly BackedNode[]>
  /** An attribute of a node in sysfs, without the line end; undefined where there is none. */
  read(index: number, attribute: string): Promise<string | undefined>
  /** Sets an attribute of a node in sysfs. */
  write(index: number, attribute: string, value: string): Promise<void>
  /** Whether the node is as asked for now: one that was made read-only stays so. */
  setReadOnly(index: number, on: boolean): Promise<boolean>
  /** How many connections a node has, dead ones included. */
  connections(index: number): Promise<number>
  /** Two connected sockets. */
  socketPair(): [number, number]
  /** Closes one that nobody reads. */
  closeFd(fd: number): void
  /** Waits until the node is there and udev has seen it. */
  settle(index: number): Promise<void>
  /** Who uses a node. */
  users(index: number): Promise<readonly string[]>
  /** Opens a node for itself; rejects with IN_USE where somebody else has. `close` lets go of it. */
  claim(index: number): Promise<Claim>
  /** Reads the partition table of a node again. */
  rescan(index: number): Promise<void>
  /** Has a process of its own disconnect a node when this one has been dead for `limit` milliseconds. */
  guard(index: number, backend: string, limit: number): Guarded
}
