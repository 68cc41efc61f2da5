import type { Socket } from 'node:net'
import type { InputSlab } from './input.ts'
import type { Outbox } from './outbox.ts'

/** Takes what comes over a {@link Wire}. */
export interface WireSink {
  /** Bytes of `chunk` from `start` to `end`: they stay as they are only where `retain` or `hold` is called before this returns. */
  bytes(chunk: Buffer, start: number, end: number): void
  /** The other end sends no more (FIN); what is given to the outbox still leaves. Once, and not after `closed`. */
  finished(): void
  /** The wire is over, with the error where there was one; once, and not after `destroy` or `reset`. */
  closed(error: Error | undefined): void
}

/** A stream of bytes in both directions, whatever carries it: a socket, or a double in virtual time. */
export interface Wire {
  /** What goes out. */
  readonly outbox: Outbox
  /** Who gets what comes in, which is lost while nobody does; may be exchanged from inside of a call. */
  sink: WireSink | null
  /** The bytes at hand are kept as views for as long as anybody has them: later ones go elsewhere. */
  retain(): void
  /** The bytes at hand are kept until the slab that is given is let go of, once for each call. */
  hold(): InputSlab
  /** Nothing is read until `resume`. */
  pause(): void
  /** Reads on. */
  resume(): void
  /** Ends it in order when all that was given has left: FIN, and then nothing is read any more; `closed` follows. */
  end(): void
  /** Ends it at once; nothing that was not sent yet will be. */
  destroy(): void
  /** Ends it at once by RST where it is TCP, so that the other end knows that nothing more is read. */
  reset(): void
}

/** A wire over a socket that something else can take over, as TLS does. */
export interface DetachableWire extends Wire {
  /** Ends the wire, and gives its socket, paused. Bytes that were not read by then come through the socket; what has not left is lost. */
  detach(): Socket
}
