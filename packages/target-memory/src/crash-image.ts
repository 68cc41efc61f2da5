import { IoOp } from '@blockbraid/core'
import { checksumOf } from './checksum.ts'
import { CHUNK } from './chunk.ts'
import { ChunkStore } from './chunk-store.ts'
import type { LogEntry } from './journal.ts'
import type { Volume } from './volume.ts'

/** Contents of a volume after a power loss. */
export interface CrashImage {
  /** Bytes. */
  readonly size: number
  /** A copy of what stands there. */
  read(offset: number, length: number): Uint8Array
  /** As {@link MemoryArray.checksum}. */
  checksum(): string
}

/** Copies of `length` bytes at `offset` of a store. */
export function copyOf(store: ChunkStore, size: number, offset: number, length: number): Uint8Array {
  if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0)) {
    throw new TypeError(`offset ${offset}, length ${length}: they must be whole numbers from 0`)
  }
  if (offset + length > size) throw new TypeError(`${length} bytes at ${offset} reach past the end, ${size} bytes`)
  const bytes = new Uint8Array(length)
  store.read(offset, [bytes])
  return bytes
}

/** Plays a volume's log on empty memory: durable entries whole, the others block by block as `random` says. */
export function crashImage(log: readonly LogEntry[], volume: Volume, random: () => number): CrashImage {
  const store = new ChunkStore()
  const { size, blockSize } = volume
  const kept = (): boolean => random() < 0.5
  for (const { entry, durable } of changes(log, volume)) {
    if (entry.data === undefined && durable) store.zero(entry.offset, entry.length, false)
    else if (entry.data === undefined) zeroSome(store, entry, blockSize, kept)
    else {
      for (let at = 0; at < entry.length; at += blockSize) {
        if (durable || kept()) store.write(entry.offset + at, [entry.data.subarray(at, at + blockSize)])
      }
    }
  }
  return {
    size,
    read: (offset, length) => copyOf(store, size, offset, length),
    checksum: () => checksumOf(store, size),
  }
}

/** See {@link MemoryArray.lostWrites}. */
export function lostWrites(
  log: readonly LogEntry[],
  volume: Volume,
  image: { read(offset: number, length: number): Uint8Array },
): string[] {
  const { blockSize } = volume
  const zeroes = new Uint8Array(blockSize)
  // What each block may hold: its last durable contents, or any later ones. A trimmed block may hold anything.
  const allowed = new Map<number, Uint8Array[]>()
  for (const { entry, durable } of changes(log, volume)) {
    const from = entry.offset / blockSize
    const to = from + entry.length / blockSize
    if (entry.data !== undefined) {
      for (let block = from; block < to; block++) {
        const at = (block - from) * blockSize
        const bytes = entry.data.subarray(at, at + blockSize)
        const before = allowed.get(block)
        if (durable || before === undefined) allowed.set(block, durable ? [bytes] : [zeroes, bytes])
        else before.push(bytes)
      }
      continue
    }
    // A block without an entry was never written, and zeroing it changes nothing.
    for (const block of to - from < allowed.size ? range(from, to) : [...allowed.keys()]) {
      if (block < from || block >= to || !allowed.has(block)) continue
      if (entry.op === IoOp.Trim) allowed.delete(block)
      else if (durable) allowed.set(block, [zeroes])
      else allowed.get(block)!.push(zeroes)
    }
  }
  const lost: string[] = []
  for (const [block, contents] of allowed) {
    const found = image.read(block * blockSize, blockSize)
    if (contents.some((bytes) => Buffer.compare(bytes, found) === 0)) continue
    lost.push(
      `${volume.id}: ${blockSize} bytes at ${block * blockSize} are neither the last durable ones nor later ones`,
    )
  }
  return lost
}

/** Entries that changed `volume`, in order, each with whether no power loss can undo it. */
function* changes(log: readonly LogEntry[], volume: Volume): Generator<{ entry: LogEntry; durable: boolean }> {
  let flushed = 0
  for (const entry of log) {
    if (entry.volume !== volume.id || entry.op !== IoOp.Flush || entry.done === Number.POSITIVE_INFINITY) continue
    flushed = Math.max(flushed, entry.submitted)
  }
  for (const entry of log) {
    if (entry.volume !== volume.id || entry.op === IoOp.Flush) continue
    yield { entry, durable: !entry.cached || entry.fua || entry.done < flushed }
  }
}

function zeroSome(store: ChunkStore, entry: LogEntry, blockSize: number, kept: () => boolean): void {
  const end = entry.offset + entry.length
  for (const [index] of [...store.chunks(entry.offset, entry.length)]) {
    const from = Math.max(entry.offset, index * CHUNK)
    const to = Math.min(end, (index + 1) * CHUNK)
    for (let at = from; at < to; at += blockSize) if (kept()) store.zero(at, blockSize, false)
  }
}

function* range(from: number, to: number): Generator<number> {
  for (let n = from; n < to; n++) yield n
}
