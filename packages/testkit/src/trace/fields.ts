import { BlockError } from '@blockbraid/core'

const utf8 = new TextDecoder()

/** Fields of one record, one after the other. Throws where they are more than the record has. */
export class Fields {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  readonly #place: number
  #at = 0

  /** `place`: where the record stands in the trace, for the words of an error. */
  constructor(bytes: Uint8Array, place: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#place = place
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  text(): string {
    const length = this.u16()
    const start = this.#take(length)
    return utf8.decode(this.#bytes.subarray(start, start + length))
  }

  #take(count: number): number {
    const start = this.#at
    this.#at += count
    if (this.#at > this.#bytes.length) {
      throw damaged(this.#place, `its record of ${this.#bytes.length} bytes ends inside one of its fields`)
    }
    return start
  }
}

/** The error for a trace that cannot be read on. */
export function damaged(place: number, why: string): BlockError {
  return new BlockError('PROTOCOL', `the trace is damaged at byte ${place}: ${why}`)
}
