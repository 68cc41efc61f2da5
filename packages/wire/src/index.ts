/**
 * What a plugin with a socket needs: connections read into pooled memory, an outbox, a listener, CRC32C, byte order,
 * and doubles of them in virtual time.
 *
 * @packageDocumentation
 */

export { get16, get24, get32, get64, put16, put24, put32, put64 } from './bytes.ts'
export { ConnectPace } from './connect-pace.ts'
export type { ConnectionSource, Endpoint, WireShared } from './connection.ts'
export { Connection } from './connection.ts'
export { crc32c } from './crc32c.ts'
export type { DescriptorShared } from './descriptor-wire.ts'
export { DescriptorWire } from './descriptor-wire.ts'
export { errorWords } from './error-words.ts'
export type { EventLoop } from './event-loop.ts'
export type { FakeWireOptions, FakeWiresOptions } from './fake-wire.ts'
export { createFakeWires, FakeWire } from './fake-wire.ts'
export type { InputSlab } from './input.ts'
export { InputPool, letGo } from './input.ts'
export { InputWindow } from './input-window.ts'
export { Limiter } from './limiter.ts'
export { listenForWires } from './listener.ts'
export type { ListenAddress, ListenOptions, WireListener } from './listening.ts'
export { get16le, get32le, get64le, put16le, put32le, put64le } from './little-endian.ts'
export { nearest } from './nearest.ts'
export type { OpenShared } from './open-wire.ts'
export { openWire } from './open-wire.ts'
export type { OutboxSocket } from './outbox.ts'
export { Outbox } from './outbox.ts'
export type { OutboxSlab } from './outbox-pool.ts'
export { OutboxPool } from './outbox-pool.ts'
export type { SendingOwner } from './sending.ts'
export { SharedTry } from './shared-try.ts'
export { Troubles } from './troubles.ts'
export { WaitingIos } from './waiting-ios.ts'
export { Wakeful } from './wakeful.ts'
export type { DetachableWire, Wire, WireSink } from './wire.ts'
