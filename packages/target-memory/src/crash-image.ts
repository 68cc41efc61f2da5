import type { ByteRun } from '@blockbraid/core'
import { checksumOf } from './checksum.ts'
import { CHUNK } from './chunk.ts'
import { ChunkStore } from './chunk-store.ts'
import { changesOf } from './history.ts'
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

/** See {@link MemoryArray.crashImage}. */
export function crashImage(log: readonly LogEntry[], volume: Volume, random: () => number): CrashImage {
  const store = afterPowerLoss(log, volume, random)
  const { size } = volume
  return {
    size,
    read: (offset, length) => copyOf(store, size, offset, length),
    checksum: () => checksumOf(store, size),
  }
}

/** A power loss, and the return of power: the volume has the contents of a crash image, and that is durable. */
export function loseCache(log: readonly LogEntry[], volume: Volume, random: () => number): ByteRun[] {
  const kept = afterPowerLoss(log, volume, random)
  const lost: [number, number][] = []
  const { blockSize, store, size } = volume
  const compare = (index: number): void => {
    const end = Math.min(size, (index + 1) * CHUNK)
    for (let at = index * CHUNK; at < end; at += blockSize) {
      const after = kept.views(at, blockSize)[0]!
      if (Buffer.compare(store.views(at, blockSize)[0]!, after) === 0) continue
      store.write(at, [after])
      const last = lost.at(-1)
      if (last !== undefined && last[0] + last[1] === at) last[1] += blockSize
      else lost.push([at, blockSize])
    }
  }
  const indexes = new Set([...store.chunks(), ...kept.chunks()].map(([index]) => index))
  for (const index of [...indexes].sort((a, b) => a - b)) compare(index)
  volume.base = { entries: log.length, store: kept }
  return lost
}

/** Plays a volume's log on what was durable before: durable entries whole, the others block by block as `random` says. */
function afterPowerLoss(log: readonly LogEntry[], volume: Volume, random: () => number): ChunkStore {
  const store = new ChunkStore(volume.size)
  for (const [index, chunk] of volume.base.store.chunks()) store.write(index * CHUNK, [chunk])
  const { blockSize } = volume
  const kept = (): boolean => random() < 0.5
  for (const { entry, durable } of changesOf(log, volume)) {
    if (entry.data === undefined && durable) store.zero(entry.offset, entry.length, false)
    else if (entry.data === undefined) zeroSome(store, entry, blockSize, kept)
    else {
      for (let at = 0; at < entry.length; at += blockSize) {
        if (durable || kept()) store.write(entry.offset + at, [entry.data.subarray(at, at + blockSize)])
      }
    }
  }
  return store
}

function zeroSome(store: ChunkStore, entry: LogEntry, blockSize: number, kept: () => boolean): void {
  const end = entry.offset + entry.length
  for (const [index] of [...store.chunks(entry.offset, entry.length)]) {
    const from = Math.max(entry.offset, index * CHUNK)
    const to = Math.min(end, (index + 1) * CHUNK)
    for (let at = from; at < to; at += blockSize) if (kept()) store.zero(at, blockSize, false)
  }
}
