/** Reads 16 bits, little-endian, unsigned. */
export function get16le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

/** Reads 32 bits, little-endian, unsigned. */
export function get32le(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

/** Reads 64 bits, little-endian; above 2 ** 53 the result is rounded and still above it. */
export function get64le(bytes: Uint8Array, at: number): number {
  return get32le(bytes, at + 4) * 2 ** 32 + get32le(bytes, at)
}

/** Writes 16 bits, little-endian. */
export function put16le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

/** Writes 32 bits, little-endian. */
export function put32le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Writes 64 bits, little-endian; `value` is below 2 ** 53. */
export function put64le(bytes: Uint8Array, at: number, value: number): void {
  put32le(bytes, at, value % 2 ** 32)
  put32le(bytes, at + 4, Math.floor(value / 2 ** 32))
}
