import { createRequire } from 'node:module'

/** Bytes from which a call of the native package beats the table. Measured: 420 ns both; 270 to 390 at 128, 540 to 440 at 256. */
const nativeFrom = 192

// Slicing-by-8 tables of the reflected Castagnoli polynomial; tables[256 * n + b] is byte b followed by n zero bytes.
const table = makeTable()
const native = loadNative()

/** Whether long input goes through the optional package `@node-rs/crc32`. */
export const hasNativeCrc32c = native !== undefined

/**
 * CRC32C (RFC 3720 appendix B.4) of `bytes` from `from` to `to`, an unsigned 32-bit number; iSCSI and NVMe/TCP send it
 * little-endian. `seed` continues an earlier result: `crc32c(b, crc32c(a))` is that of a and b joined.
 */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0, to: number = bytes.length): number {
  if (native === undefined || to - from < nativeFrom) return crc32cTable(bytes, seed, from, to)
  return native(to - from === bytes.length ? bytes : bytes.subarray(from, to), seed)
}

/** {@link crc32c} in TypeScript alone. */
export function crc32cTable(bytes: Uint8Array, seed = 0, from = 0, to: number = bytes.length): number {
  let crc = ~seed
  let at = from
  const whole = to - ((to - from) % 8)
  for (; at < whole; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      table[1792 + (crc & 255)]! ^
      table[1536 + ((crc >>> 8) & 255)]! ^
      table[1280 + ((crc >>> 16) & 255)]! ^
      table[1024 + (crc >>> 24)]! ^
      table[768 + bytes[at + 4]!]! ^
      table[512 + bytes[at + 5]!]! ^
      table[256 + bytes[at + 6]!]! ^
      table[bytes[at + 7]!]!
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]!) & 255]!
  return ~crc >>> 0
}

function makeTable(): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    made[byte] = crc
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256]!
    made[at] = (before >>> 8) ^ made[before & 255]!
  }
  return made
}

function loadNative(): ((bytes: Uint8Array, seed: number) => number) | undefined {
  try {
    return createRequire(import.meta.url)('@node-rs/crc32').crc32c
  } catch {
    return undefined // an optional dependency: not every platform has it
  }
}
