// Words of a block: the number of its change, its own number, the volume's, the first one inverted, and then the first
// one again to the end.
const HEAD = 4

/** Views on the same bytes, made once. */
export interface Stamped {
  /** All of it. */
  readonly bytes: Uint8Array
  readonly words: Int32Array
}

/** Zeroed memory for `length` bytes. */
export function stamped(length: number): Stamped {
  const bytes = new Uint8Array(length)
  return { bytes, words: new Int32Array(bytes.buffer) }
}

/** Fills whole blocks with what the change of that number leaves in `volume` from block `first` on. */
export function stamp({ words }: Stamped, blockSize: number, volume: number, first: number, change: number): void {
  const perBlock = blockSize / 4
  words.fill(change)
  for (let at = 0, block = first; at < words.length; at += perBlock, block++) {
    words[at + 1] = block
    words[at + 2] = volume
    words[at + 3] = ~change
  }
}

/** The number of the change that left what stands in a block; 0: zeroes, -2: something else. */
export function changeIn(words: Int32Array, at: number, perBlock: number, volume: number, block: number): number {
  const change = words[at] as number
  const isStamp = words[at + 1] === block && words[at + 2] === volume && words[at + 3] === ~change
  if (change !== 0 && !isStamp) return -2
  for (let next = change === 0 ? 1 : HEAD; next < perBlock; next++) if (words[at + next] !== change) return -2
  return change
}

/** Bytes as words; a copy where they do not begin at a word. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  return new Int32Array(whole.buffer, whole.byteOffset, whole.length / 4)
}
