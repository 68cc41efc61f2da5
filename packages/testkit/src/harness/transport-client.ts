/** An application on the other side of a transport. Errors carry a Linux `errno`. */
export interface TransportClient {
  /** Bytes. */
  readonly size: number
  /** Reads `length` bytes. */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Writes `data`; with `fua`, durable when it settles. */
  write(offset: number, data: Uint8Array, options?: { fua?: boolean }): Promise<void>
  /** Needed where `has.flush` is set. */
  flush?(): Promise<void>
  /** Needed where `has.trim` is set. */
  trim?(offset: number, length: number): Promise<void>
  /** Needed where `has.writeZeroes` is set. */
  writeZeroes?(offset: number, length: number): Promise<void>
  /** Ends it; what it has in flight is dropped. */
  close(): Promise<void>
}
