/** An export that I/O is sent to. */
export interface Export {
  readonly name: string
  readonly uri: string
  /** Bytes. */
  readonly size: number
}

/** What a load did. Every block of every export was written, then read back and checked. */
export interface LoadResult {
  readonly writes: number
  readonly reads: number
  /** One line each; empty when all went well. */
  readonly errors: readonly string[]
}

/** A program that writes every block of some exports in random order, reads each back, and checks it. */
export interface Load {
  /** For people, such as `fio 3.33`. */
  readonly program: string
  run(exports: readonly Export[], folder: string, signal: AbortSignal): Promise<LoadResult>
}

/** A program that reads an export from its first byte to its last. */
export interface Reader {
  /** For people, such as `nbdcopy`. */
  readonly program: string
  read(source: Export, folder: string, signal: AbortSignal, onData: (chunk: Uint8Array) => void): Promise<void>
}

/** Bytes of each I/O of a load. */
export const BLOCK = 4096
/** I/Os in flight per export. */
export const DEPTH = 32
/** I/Os a second per export: enough to keep every path busy, slow enough to watch. */
export const RATE = 6000
/** Milliseconds after which a load or a reader counts as stuck. */
export const LIMIT = 30_000
