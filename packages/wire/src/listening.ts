import type { WireShared } from './connection.ts'
import type { InputWindow } from './input-window.ts'
import type { DetachableWire } from './wire.ts'

/** Where a {@link WireListener} listens. */
export type ListenAddress =
  | {
      /** Of a unix socket. */
      readonly path: string
    }
  | {
      /** Address or name. */
      readonly host: string
      /** TCP port; 0 lets the system choose. */
      readonly port: number
    }

/** What a {@link WireListener} does. */
export interface ListenOptions extends WireShared {
  /** What accepted sockets are read into, between `inputs` and them. */
  readonly window: InputWindow
  /** Connections at once; later ones are closed at once. */
  readonly maxConnections: number
  /** Seconds of silence after which a TCP client is probed. */
  readonly keepAlive: number
  /** Gets each connection; its sink is to be set before this returns. */
  accept(wire: DetachableWire): void
}

/** A socket that listens. */
export interface WireListener {
  /** TCP port; 0 on a unix socket. */
  readonly port: number
  /** Connections that are open. */
  readonly connections: number
  /** Listens no more; settles when no connection that it accepted is open. */
  close(): Promise<void>
}
