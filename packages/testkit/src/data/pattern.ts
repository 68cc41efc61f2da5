/** Bytes of one stamp: patterns start and end on multiples of it. */
export const STAMP_SIZE = 512

/** What a stamp in the data says: whose it is, where it belongs and which write put it there. */
export interface Stamp {
  /** Of the volume, 32 bits. */
  seed: number
  /** Bytes, a multiple of {@link STAMP_SIZE}. */
  offset: number
  /** Which write, 32 bits. */
  generation: number
}

const WORDS = STAMP_SIZE / 4
const HEADER_WORDS = 4
const words = new Uint32Array(WORDS)
const bytes = Buffer.from(words.buffer)

/** Puts the stamp of one sector into the scratch: four words that name it, then words drawn from them. */
function generate(seed: number, offset: number, generation: number): void {
  words[0] = seed
  words[1] = Math.floor(offset / 2 ** 32)
  words[2] = offset
  words[3] = generation
  let state = (seed ^ Math.imul(offset / STAMP_SIZE, 0x9e3779b1) ^ Math.imul(generation, 0x85ebca6b)) | 1
  for (let i = HEADER_WORDS; i < WORDS; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
}

function requireStamps(what: string, value: number): void {
  if (value % STAMP_SIZE === 0) return
  throw new TypeError(`${what} must be a multiple of ${STAMP_SIZE}, not ${value}`)
}

/** Fills `view` with the data that generation `generation` of a volume has at `offset`. */
export function fillPattern(view: Uint8Array, { seed, offset, generation }: Stamp): void {
  requireStamps('length', view.length)
  requireStamps('offset', offset)
  for (let at = 0; at < view.length; at += STAMP_SIZE) {
    generate(seed, offset + at, generation)
    view.set(bytes, at)
  }
}

/** A new buffer with that pattern. */
export function pattern(length: number, stamp: Stamp): Buffer {
  const data = Buffer.allocUnsafe(length)
  fillPattern(data, stamp)
  return data
}

/** The stamp that lies at `at` in `view`, checked to its last byte; undefined where there is none. */
export function readStamp(view: Uint8Array, at = 0): Stamp | undefined {
  if (view.length < at + STAMP_SIZE) return undefined
  const data = new DataView(view.buffer, view.byteOffset + at, STAMP_SIZE)
  const stamp = {
    seed: data.getUint32(0, true),
    offset: data.getUint32(4, true) * 2 ** 32 + data.getUint32(8, true),
    generation: data.getUint32(12, true),
  }
  generate(stamp.seed, stamp.offset, stamp.generation)
  return bytes.compare(view, at, at + STAMP_SIZE) === 0 ? stamp : undefined
}

function describeSector(view: Uint8Array, at: number): string {
  const stamp = readStamp(view, at)
  if (stamp !== undefined) return `seed ${stamp.seed}, offset ${stamp.offset}, generation ${stamp.generation}`
  const sector = view.subarray(at, at + STAMP_SIZE)
  return sector.every((byte) => byte === 0)
    ? 'zeroes'
    : `no whole stamp (${Buffer.from(sector.subarray(0, 16)).toString('hex')}…)`
}

/** Undefined when `view` holds that pattern; else where it first differs, and what lies there. */
export function patternFault(view: Uint8Array, { seed, offset, generation }: Stamp): string | undefined {
  requireStamps('length', view.length)
  requireStamps('offset', offset)
  for (let at = 0; at < view.length; at += STAMP_SIZE) {
    generate(seed, offset + at, generation)
    if (bytes.compare(view, at, at + STAMP_SIZE) === 0) continue
    return `at ${offset + at}: wanted seed ${seed}, generation ${generation}, found ${describeSector(view, at)}`
  }
  return undefined
}
