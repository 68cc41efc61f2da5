const SLAB = 1024 * 1024
const LARGEST = 64 * 1024

let slab = Buffer.allocUnsafeSlow(0)
let used = 0

/** A new buffer, cut from a larger one when it is small: that spares the garbage collector an object outside of its heap. */
export function carve(length: number): Buffer {
  if (length > LARGEST) return Buffer.allocUnsafeSlow(length)
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB)
    used = 0
  }
  const start = used
  used += length
  return slab.subarray(start, used)
}
