import type { Chunk } from './chunk.ts'

/** First bytes of every trace. */
export const MAGIC: Uint8Array = Uint8Array.from('BBTRACE\n', (letter) => letter.charCodeAt(0))

/** Version of the format; kinds of records that are added, and fields at the end of one, do not change it. */
export const VERSION = 1

/** The numbers of each candidate, in their order; a reader learns them from the header. */
export const COLUMNS = ['inflight', 'inflightBytes', 'latency', 'queueDepth', 'throughput', 'errors'] as const

/** Number of a path that stands for none. */
export const NO_PATH = 0xffff

/** Kinds of records. */
export const RecordKind = {
  path: 1,
  policy: 2,
  state: 3,
  pick: 4,
  wait: 5,
  failed: 6,
  hedge: 7,
  done: 8,
  event: 9,
  lost: 10,
  end: 11,
} as const

/** What stands before the records. */
export interface TraceHeader {
  /** `clock.now()` at the beginning, µs. */
  readonly clock: number
  /** The time of day then, milliseconds since 1970; 0: not known. */
  readonly wall: number
  /** Identity of the volume. */
  readonly volume: string
}

/** Writes magic, version, length and header. */
export function writeHeader(chunk: Chunk, { clock, wall, volume }: TraceHeader): void {
  chunk.bytes(MAGIC)
  chunk.u16(VERSION)
  const length = chunk.length
  chunk.u32(0)
  chunk.f64(clock)
  chunk.f64(wall)
  chunk.text(volume)
  chunk.u16(COLUMNS.length)
  for (const column of COLUMNS) chunk.text(column)
  chunk.patch32(length, chunk.length - length - 4)
}
