/** Reads 16 bits, big-endian, unsigned. */
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Reads 24 bits, big-endian, unsigned. */
export function get24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
}

/** Reads 32 bits, big-endian, unsigned. */
export function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

/** Reads 64 bits, big-endian; above 2 ** 53 the result is rounded and still above it. */
export function get64(bytes: Uint8Array, at: number): number {
  return get32(bytes, at) * 2 ** 32 + get32(bytes, at + 4)
}

/** Writes 16 bits, big-endian. */
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Writes 24 bits, big-endian. */
export function put24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 16
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value
}

/** Writes 32 bits, big-endian. */
export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Writes 64 bits, big-endian; `value` is below 2 ** 53. */
export function put64(bytes: Uint8Array, at: number, value: number): void {
  put32(bytes, at, Math.floor(value / 2 ** 32))
  put32(bytes, at + 4, value % 2 ** 32)
}

/** Whether serial number `a` comes before `b` (RFC 1982, 32 bits). */
export function serialBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}
