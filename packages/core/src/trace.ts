/** Takes a trace, piece by piece; docs/trace.md says what is in it. Core calls it between I/Os, never from inside one. */
export interface TraceSink {
  /**
   * Takes a piece before it returns: the memory is used again after that. False: there is no room, and the piece is lost;
   * the trace goes on, and says how many records were lost. What it throws ends
   * the trace, and is thrown once more where nobody catches it, as whatever a `done` throws.
   */
  write(chunk: Uint8Array): boolean
  /** Nothing more comes: the device is closed, or another sink has taken its place. */
  end?(): void
}

/** What a trace says of itself. */
export interface TraceOptions {
  /** The time of day now, milliseconds since 1970. @defaultValue it tells none */
  wall?: number
}
