import { TraceParser } from './parser.ts'
import type { TraceRecord } from './records.ts'

/**
 * Reads a trace that `BlockDevicePair.trace` or `blockbraid trace` has written: its records, in their order. Kinds that
 * it does not know are left out. Throws PROTOCOL for what is no trace, is damaged or is cut off, after the records before.
 */
export function readTrace(trace: Uint8Array): Generator<TraceRecord, void, void>
/** The same of a trace that comes in pieces. */
export function readTrace(trace: AsyncIterable<Uint8Array>): AsyncGenerator<TraceRecord, void, void>
export function readTrace(
  trace: Uint8Array | AsyncIterable<Uint8Array>,
): Generator<TraceRecord, void, void> | AsyncGenerator<TraceRecord, void, void> {
  return trace instanceof Uint8Array ? readWhole(trace) : readPieces(trace)
}

function* readWhole(trace: Uint8Array): Generator<TraceRecord, void, void> {
  const parser = new TraceParser()
  yield* parser.push(trace)
  parser.end()
}

async function* readPieces(trace: AsyncIterable<Uint8Array>): AsyncGenerator<TraceRecord, void, void> {
  const parser = new TraceParser()
  for await (const piece of trace) yield* parser.push(piece)
  parser.end()
}
