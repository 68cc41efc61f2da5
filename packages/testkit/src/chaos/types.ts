/** `up`: from the client to the target; `down`: back. */
export type ChaosDirection = 'up' | 'down'

/** Options of {@link createChaosProxy}. */
export interface ChaosProxyOptions {
  /** The real target. */
  to: {
    /** Name or address. */
    host: string
    /** TCP port. */
    port: number
  }
  /** @defaultValue a free port of 127.0.0.1 */
  listen?: {
    /** Name or address. @defaultValue '127.0.0.1' */
    host?: string
    /** TCP port. @defaultValue 0: one that is free */
    port?: number
  }
}

/** A connection through the proxy. */
export interface ChaosConnection {
  /** Counts from 0 in the order they were accepted. */
  readonly number: number
  /** Bytes that came from the client, and from the target. */
  readonly received: Readonly<Record<ChaosDirection, number>>
  /** Bytes that came and were not passed on yet. */
  readonly held: Readonly<Record<ChaosDirection, number>>
  /** Whether the client has ended its side. */
  readonly clientGone: boolean
  /** Whether the target has ended its side. */
  readonly targetGone: boolean
  /** Cuts both sides at once; what is held is lost. */
  cut(): void
}

/** A TCP proxy that does what networks do on bad days. Faults act on every connection, those to come included. */
export interface ChaosProxy extends AsyncDisposable {
  /** Name or address it listens on. */
  readonly host: string
  /** TCP port it listens on. */
  readonly port: number
  /** `host:port`. */
  readonly address: string
  /** Connections of which one side at least is open, or something is held. */
  readonly connections: readonly ChaosConnection[]
  /** Connections ever accepted. */
  readonly accepted: number
  /** Cuts every connection; what is held is lost. */
  cut(): void
  /** Throws away what comes, both ways. At its end the connections that have lost something are cut. */
  blackhole(on: boolean): void
  /** Keeps what comes, the end of the stream too, until {@link release}. */
  hold(direction?: ChaosDirection | 'both'): void
  /** Delivers what was kept, in order, also where the side that sent it is gone meanwhile. */
  release(direction?: ChaosDirection | 'both'): void
  /** Passes bytes on so many ms later, in order; 0 ends it. */
  delay(milliseconds: number, direction?: ChaosDirection | 'both'): void
  /** Passes on at most so many bytes a second in each connection; 0 ends it. */
  limit(bytesPerSecond: number, direction?: ChaosDirection | 'both'): void
  /** Changes one byte: the one that comes `offset` bytes from now on, in the first connection that gets there. */
  corruptAt(offset: number, direction: ChaosDirection): void
  /** Cuts the first connection in which `offset` more bytes have passed, right behind them. */
  cutAt(offset: number, direction: ChaosDirection): void
  /** Calls back when `offset` more bytes have come in one connection; they wait for its return. */
  atByte(offset: number, direction: ChaosDirection, callback: (connection: ChaosConnection) => void): void
  /** New connections are refused, while those there are go on. */
  refuse(on: boolean): Promise<void>
  /** Does something once, so many ms from now; the result calls it off. */
  after(milliseconds: number, action: (proxy: ChaosProxy) => void): () => void
  /** Does something again and again, every so many ms; the result ends it. */
  every(milliseconds: number, action: (proxy: ChaosProxy) => void): () => void
  /** Cuts everything and stops listening. */
  close(): Promise<void>
}
