import { BlockError } from '@blockbraid/core'
import { decoders, decodeStart, TraceTables } from './decode.ts'
import { damaged, Fields } from './fields.ts'
import type { TraceRecord } from './records.ts'

const MAGIC = 'BBTRACE\n'
const VERSION = 1
// Magic, version and length of the header; length and kind of a record.
const PREFACE = 14
const HEAD = 5
// The longest header, and the longest record.
const LONGEST = 2 ** 20

/** Takes a trace in pieces of any size, and gives its records. After an error it gives no more. */
export class TraceParser {
  readonly #tables = new TraceTables()
  #parts: Uint8Array[] = []
  #length = 0
  // Bytes before the first of `parts`.
  #place = 0
  #needs = PREFACE
  #state: 'preface' | 'header' | 'head' | 'record' | 'broken' = 'preface'
  #kind = 0

  /** The input has ended. Throws PROTOCOL where that was in the middle of something. */
  end(): void {
    if (this.#state === 'broken' || (this.#state === 'head' && this.#length === 0)) return
    const at = this.#place + this.#length
    if (this.#state === 'preface') throw new BlockError('PROTOCOL', `this is no trace: it has ${at} bytes`)
    throw new BlockError('PROTOCOL', `the trace is cut off: it ends at byte ${at}, in the middle of a record`)
  }

  /** Records that this piece completes. Throws PROTOCOL for what is no trace, or is damaged. */
  *push(chunk: Uint8Array): Generator<TraceRecord, void, void> {
    this.#parts.push(chunk)
    this.#length += chunk.length
    while (this.#length >= this.#needs && this.#state !== 'broken') {
      const place = this.#place
      const bytes = this.#take(this.#needs)
      const state = this.#state
      this.#state = 'broken'
      const record = this.#step(state, bytes, place)
      if (record !== undefined) yield record
    }
  }

  #step(state: string, bytes: Uint8Array, place: number): TraceRecord | undefined {
    const fields = new Fields(bytes, place)
    if (state === 'preface') {
      this.#expect('header', this.#checkPreface(fields, place))
    } else if (state === 'header') {
      const start = decodeStart(fields, this.#tables)
      this.#expect('head', HEAD)
      return start
    } else if (state === 'head') {
      const length = this.#checkLength(fields.u32(), place)
      this.#kind = fields.u8()
      this.#expect('record', length)
    } else {
      const record = decoders[this.#kind]?.(fields, this.#tables)
      this.#expect('head', HEAD)
      return record
    }
    return undefined
  }

  #expect(state: 'header' | 'head' | 'record', needs: number): void {
    this.#state = state
    this.#needs = needs
  }

  #checkPreface(fields: Fields, place: number): number {
    const magic = String.fromCharCode(...Array.from(MAGIC, () => fields.u8()))
    if (magic !== MAGIC) throw new BlockError('PROTOCOL', 'this is no trace: it does not begin with BBTRACE')
    const version = fields.u16()
    if (version !== VERSION) {
      throw new BlockError('PROTOCOL', `the trace is of version ${version}; this reader knows version ${VERSION}`)
    }
    return this.#checkLength(fields.u32(), place)
  }

  #checkLength(length: number, place: number): number {
    if (length <= LONGEST) return length
    throw damaged(place, `a record is to have ${length} bytes; the longest has ${LONGEST}`)
  }

  #take(count: number): Uint8Array {
    const first = this.#parts[0]
    let bytes: Uint8Array
    if (first !== undefined && first.length >= count) {
      bytes = first.subarray(0, count)
      this.#parts[0] = first.subarray(count)
      if (first.length === count) this.#parts.shift()
    } else {
      const whole = join(this.#parts, this.#length)
      bytes = whole.subarray(0, count)
      this.#parts = whole.length > count ? [whole.subarray(count)] : []
    }
    this.#length -= count
    this.#place += count
    return bytes
  }
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
