/**
 * A small fast generator of random numbers (sfc32): the same seed gives the same sequence on every
 * machine. Yields 0 <= x < 1 with 32 bits. Not for secrets.
 */
export function createRandom(seed: number): () => number {
  if (!Number.isFinite(seed)) throw new TypeError(`seed must be a finite number, not ${seed}`)
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0x9e3779b9 | 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  // Neighbouring seeds look alike until the state is mixed.
  for (let i = 0; i < 15; i++) next()
  return next
}

/** A whole number from 0 to `below` - 1. */
export function randomInt(random: () => number, below: number): number {
  return Math.floor(random() * below)
}
