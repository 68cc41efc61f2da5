import { printable } from './text.ts'

/** Longest name, bytes (RFC 7143 §4.2.7). */
const LONGEST = 223

/** Whether a name can stand in ids and logs, by the book or not: no blank, no slash, nothing that does not print. */
export function isUsableName(name: string): boolean {
  return /^[^\s/]+$/.test(name) && Buffer.byteLength(name) <= LONGEST && printable(name) === name
}

/** Whether it is an iSCSI name by the book (RFC 7143 §4.2.7) that can be used. */
export function isIscsiName(name: string): boolean {
  return /^(?:iqn|eui|naa)\../.test(name) && isUsableName(name)
}
