import { createHash } from 'node:crypto'
import { CHUNK, isZero } from './chunk.ts'
import type { ChunkStore } from './chunk-store.ts'

/** Sums up the contents of a volume; the same for the same bytes, however much of them is allocated. */
export interface VolumeChecksum {
  /** Adds the next bytes, from offset 0 on. */
  update(bytes: Uint8Array): void
  /** Ends the sum: 64 hex digits. */
  digest(): string
}

// SHA-256 over each 64 KiB chunk that is not zero, behind its number, and then over the size: a hole costs nothing.
function startSum() {
  const hash = createHash('sha256')
  const number = new Uint8Array(8)
  const word = new DataView(number.buffer)
  const add = (value: number): void => {
    word.setBigUint64(0, BigInt(value))
    hash.update(number)
  }
  return {
    chunk(index: number, bytes: Uint8Array): void {
      if (isZero(bytes)) return
      add(index)
      hash.update(bytes)
    },
    end(size: number): string {
      add(size)
      return hash.digest('hex')
    },
  }
}

/** A checksum for bytes that come from elsewhere, such as a client: equal to {@link MemoryArray.checksum} for equal contents. */
export function createChecksum(): VolumeChecksum {
  const sum = startSum()
  const chunk = new Uint8Array(CHUNK)
  let size = 0
  return {
    update(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const start = size % CHUNK
        const run = Math.min(CHUNK - start, bytes.length - at)
        chunk.set(bytes.subarray(at, at + run), start)
        at += run
        size += run
        if (size % CHUNK === 0) sum.chunk(size / CHUNK - 1, chunk)
      }
    },
    digest() {
      const tail = size % CHUNK
      if (tail > 0) sum.chunk((size - tail) / CHUNK, chunk.subarray(0, tail))
      return sum.end(size)
    },
  }
}

/** The checksum of what a store holds, seen as a volume of `size` bytes. */
export function checksumOf(store: ChunkStore, size: number): string {
  const sum = startSum()
  for (const [index, chunk] of store.chunks(0, size)) {
    const left = size - index * CHUNK
    sum.chunk(index, left < CHUNK ? chunk.subarray(0, left) : chunk)
  }
  return sum.end(size)
}
