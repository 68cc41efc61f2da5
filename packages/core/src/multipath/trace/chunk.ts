// Bytes that are kept until the sink has its turn.
const SIZE = 256 * 1024
// Length and kind before each record.
const HEAD = 5

/** Memory for records, made once: what does not fit is counted, and left out. */
export class Chunk {
  /** How many records had no room, since somebody has set it to 0. */
  lost = 0
  readonly #bytes = new Uint8Array(SIZE)
  readonly #view = new DataView(this.#bytes.buffer)
  readonly #texts = new TextEncoder()
  #at = 0
  #start = 0

  get length(): number {
    return this.#at
  }

  get isHalfFull(): boolean {
    return this.#at > SIZE / 2
  }

  /** What was written; the memory is used again after `clear`. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  clear(): void {
    this.#at = 0
  }

  /** Begins a record, where there is room for `most` bytes of it; else counts it as lost. */
  begin(kind: number, most: number): boolean {
    if (this.#at + HEAD + most > SIZE) {
      this.lost++
      return false
    }
    this.#start = this.#at
    this.#bytes[this.#at + 4] = kind
    this.#at += HEAD
    return true
  }

  /** Ends the record. */
  end(): void {
    this.patch32(this.#start, this.#at - this.#start - HEAD)
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value
  }

  u16(value: number): void {
    this.#view.setUint16(this.#at, value, true)
    this.#at += 2
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  /** Writes over what was written at `place`. */
  patch32(place: number, value: number): void {
    this.#view.setUint32(place, value, true)
  }

  f32(value: number): void {
    this.#view.setFloat32(this.#at, value, true)
    this.#at += 4
  }

  f64(value: number): void {
    this.#view.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  /** A length of two bytes, and UTF-8: at most {@link TEXT} bytes of it. */
  text(value: string): void {
    const { written } = this.#texts.encodeInto(value, this.#bytes.subarray(this.#at + 2, this.#at + TEXT))
    this.u16(written)
    this.#at += written
  }
}

/** The most bytes that a text takes. */
export const TEXT = 1024
