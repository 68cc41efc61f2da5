import { crc32 } from 'node:zlib'

/** A secret in the form `DHHC-1:HH:BASE64:`. */
export function secretText(key: Buffer, hash = 0): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(key))
  return `DHHC-1:0${hash}:${Buffer.concat([key, sum]).toString('base64')}:`
}

/** A key of `length` bytes that a seed gives. */
export function keyOf(length: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => (at * 7 + seed) & 255))
}
