/** Bytes of one chunk, the unit of allocation. */
export const CHUNK = 65_536

/** What a hole reads as; never written. */
export const ZEROES: Uint8Array = new Uint8Array(CHUNK)

/** Whether `bytes`, at most {@link CHUNK} of them, are all zero. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, bytes.length === CHUNK ? ZEROES : ZEROES.subarray(0, bytes.length)) === 0
}
