// Four tables: four bytes per step (RFC 3720 appendix B.4 gives the polynomial).
const tables = makeTables()

function makeTables(): Int32Array[] {
  const first = new Int32Array(256)
  for (let n = 0; n < 256; n++) {
    let value = n
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ 0x82f63b78
    first[n] = value
  }
  const all = [first]
  for (let k = 1; k < 4; k++) all.push(all[k - 1]!.map((value) => (value >>> 8) ^ first[value & 255]!))
  return all
}

const [t0, t1, t2, t3] = tables as [Int32Array, Int32Array, Int32Array, Int32Array]

/** CRC32C of `bytes`, continued from `seed`: `crc32c(b, crc32c(a))` is that of a followed by b. */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0, to = bytes.length): number {
  let crc = ~seed
  let at = from
  for (; at + 4 <= to; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 255]!
  return ~crc >>> 0
}

/** Writes a digest as it stands on the wire: least significant byte first. */
export function putDigest(bytes: Uint8Array, at: number, crc: number): void {
  bytes[at] = crc
  bytes[at + 1] = crc >>> 8
  bytes[at + 2] = crc >>> 16
  bytes[at + 3] = crc >>> 24
}

/** Reads a digest from the wire. */
export function getDigest(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
