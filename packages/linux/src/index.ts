/**
 * Linux system calls for block transports: mapped memory, io_uring, generic netlink, ioctl, sockets.
 * The native part is loaded at the first use.
 *
 * @packageDocumentation
 */

export type { NetlinkAttribute, ParsedAttribute } from './attributes.ts'
export { nested, parseAttributes, text, u8, u32, u64 } from './attributes.ts'
export { stayAwake } from './awake.ts'
export type { LinuxErrorOptions } from './errors.ts'
export { LinuxError } from './errors.ts'
export { closeFd, ioctl, peerPid, socketPair } from './fds.ts'
export type { DiskWords, Guarded, LetGo, NodeRecord } from './host/index.ts'
export {
  claimFile,
  claimNode,
  guardNode,
  hasEnded,
  helperEnvironment,
  isServed,
  makeRunFolder,
  nodeUsers,
  ownStart,
  readNodeRecord,
  recordFolder,
  removeNodeRecord,
  runFolder,
  runGuard,
  setNodeReadOnly,
  settleNode,
  swapsOn,
  writeNodeRecord,
} from './host/index.ts'
export type { MapFileOptions, Mapping } from './memory.ts'
export { mapFile, mapMemory } from './memory.ts'
export type { GenericNetlink, NetlinkMessage, NetlinkRequestOptions } from './netlink.ts'
export { openGenericNetlink } from './netlink.ts'
export { lockMemory, setIoFlusher } from './process.ts'
export type { RingOptions } from './ring.ts'
export { Ring } from './ring.ts'
export { acceptSocket, connectTcp, listenTcp, listenUnix, localPort, socketError } from './sockets.ts'
export type { SocketStreamOptions } from './stream.ts'
export { SocketStream, StreamEvent } from './stream.ts'
export type { Watcher } from './watcher.ts'
export { watchReadable } from './watcher.ts'
