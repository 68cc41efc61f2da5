import { BlockError } from '@blockbraid/core'
import { get32le } from '@blockbraid/wire'

/** Hex digits, lower case. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** A text field for people: blanks and zeroes around it removed, what cannot be printed shown as `?`. */
export function printable(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  let text = ''
  for (const byte of end < 0 ? bytes : bytes.subarray(0, end)) {
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
  }
  return text.trim()
}

/** 16 hex digits of a 64-bit number. */
export function hex64(bytes: Uint8Array, at: number): string {
  return hex32(get32le(bytes, at + 4)) + hex32(get32le(bytes, at))
}

/** 8 hex digits. */
function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/** A number of `length` bytes, such as a counter of 128 bits; above 2 ** 53 it is rounded. */
export function getLong(bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let index = length - 1; index >= 0; index--) value = value * 256 + bytes[at + index]!
  return value
}

/** PROTOCOL where fewer than `length` bytes came. */
export function need(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length >= length) return
  throw new BlockError('PROTOCOL', `${what} of ${bytes.length} bytes is too short, it has at least ${length}`)
}

/** Whether bytes are all zero, or all FFh: what nobody has written. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 0xff)
}

/** 16 bytes in the order of RFC 9562 as text. */
export function uuidText(bytes: Uint8Array): string {
  const digits = hex(bytes)
  const part = (from: number, to: number): string => digits.slice(from, to)
  return `${part(0, 8)}-${part(8, 12)}-${part(12, 16)}-${part(16, 20)}-${part(20, 32)}`
}
