/** Bytes of one chunk, the unit of allocation. */
export const CHUNK = 65_536

const BLOCK = 4096

/** A piece of memory. */
export class Chunk {
  readonly bytes: Uint8Array = new Uint8Array(CHUNK)
  readonly #blocks: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(CHUNK / BLOCK).fill(undefined)

  /** A view of a part. Those of a block of 4096 bytes are kept: making one costs 100 bytes and half a copy. */
  view(start: number, length: number): Uint8Array {
    if (length !== BLOCK || start % BLOCK !== 0) return this.bytes.subarray(start, start + length)
    const number = start / BLOCK
    let block = this.#blocks[number]
    if (block === undefined) {
      block = this.bytes.subarray(start, start + BLOCK)
      this.#blocks[number] = block
    }
    return block
  }
}

/** What a hole reads as; never written. */
export const ZEROES: Chunk = new Chunk()

/** Whether `bytes`, at most {@link CHUNK} of them, are all zero. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, bytes.length === CHUNK ? ZEROES.bytes : ZEROES.view(0, bytes.length)) === 0
}
