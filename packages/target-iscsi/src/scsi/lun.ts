import { get32 } from '@blockbraid/wire'

/** A logical unit number as the wire has it: eight bytes (SAM-5 §4.7). */
export interface Lun {
  /** Bytes 0 to 3. */
  readonly high: number
  /** Bytes 4 to 7. */
  readonly low: number
  /** Decimal where the number alone gives these bytes, else `0x` and 16 hex digits; two LUNs never share a name. */
  readonly name: string
}

const PERIPHERAL_END = 0x100
const FLAT_END = 0x4000
const EXTENDED_END = 0x100_0000
const FLAT = 0x4000_0000
const EXTENDED_FLAT = 0xd200_0000

/**
 * The LUN of a number: peripheral addressing below 256, flat space below 16384, extended flat space
 * below 2 ** 24. Other numbers are a TypeError.
 */
export function lunOf(number: number): Lun {
  if (!Number.isInteger(number) || number < 0 || number >= EXTENDED_END) {
    throw new TypeError(`lun: ${number} is not an integer from 0 to ${EXTENDED_END - 1}`)
  }
  return { high: encode(number), low: 0, name: String(number) }
}

/** The LUN of a name: decimal, or `0x` and 16 hex digits. Undefined for anything else. */
export function parseLun(name: string): Lun | undefined {
  if (/^(0|[1-9]\d{0,7})$/.test(name)) {
    const number = Number(name)
    return number < EXTENDED_END ? lunOf(number) : undefined
  }
  if (!/^0x[0-9a-f]{16}$/i.test(name)) return undefined
  return lunFrom(Number.parseInt(name.slice(2, 10), 16), Number.parseInt(name.slice(10), 16))
}

/** Reads the LUN at `at`; eight bytes must be there. */
export function readLun(bytes: Uint8Array, at: number): Lun {
  return lunFrom(get32(bytes, at), get32(bytes, at + 4))
}

function lunFrom(high: number, low: number): Lun {
  const number = low === 0 ? decode(high) : undefined
  if (number !== undefined) return { high, low, name: String(number) }
  return { high, low, name: `0x${digits(high)}${digits(low)}` }
}

function encode(number: number): number {
  if (number < PERIPHERAL_END) return number * 0x1_0000
  if (number < FLAT_END) return FLAT + number * 0x1_0000
  return EXTENDED_FLAT + number
}

function decode(high: number): number | undefined {
  for (const number of [(high >>> 16) & 0x3fff, high & 0xff_ffff]) {
    if (encode(number) === high) return number
  }
  return undefined
}

function digits(word: number): string {
  return word.toString(16).padStart(8, '0')
}

/** The number that a LUN has by any way of addressing, also one that is longer than needed; undefined for none. */
export function lunNumber({ high, low }: Lun): number | undefined {
  if (low !== 0) return undefined
  if (high >>> 24 === EXTENDED_FLAT >>> 24) return high & 0xff_ffff
  if ((high & 0xffff) !== 0) return undefined
  if (high >>> 30 === FLAT >>> 30) return (high >>> 16) & 0x3fff
  return high >>> 24 === 0 ? high >>> 16 : undefined
}
