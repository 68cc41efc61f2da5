import { BlockError, messageOf } from '@blockbraid/core'

/** Longest key name, characters (RFC 7143 §6.1). */
const maxKey = 63
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Splits a text segment into its `key=value` pairs, in order, repeated keys included (RFC 7143 §6.1).
 * Empty entries are skipped and the last NUL may be missing. Throws PROTOCOL for an entry that is no pair; with `odd`,
 * that one is told to it and left out.
 */
export function splitText(bytes: Uint8Array, odd?: (what: string) => void): [key: string, value: string][] {
  const pairs: [string, string][] = []
  let at = 0
  while (at < bytes.length) {
    const nul = bytes.indexOf(0, at)
    const end = nul < 0 ? bytes.length : nul
    if (end > at) {
      try {
        pairs.push(splitPair(bytes.subarray(at, end)))
      } catch (error) {
        if (odd === undefined) throw error
        odd(messageOf(error))
      }
    }
    at = end + 1
  }
  return pairs
}

/** The pairs of a text segment. Throws PROTOCOL, also for a key that comes twice. */
export function parseText(bytes: Uint8Array): Map<string, string> {
  const keys = new Map<string, string>()
  for (const [key, value] of splitText(bytes)) {
    if (keys.has(key)) throw new BlockError('PROTOCOL', `text key ${shown(key)} comes twice`)
    keys.set(key, value)
  }
  return keys
}

/** The text segment of `pairs`, each ended by a NUL. Throws a TypeError where a pair holds a NUL. */
export function encodeText(pairs: Iterable<readonly [key: string, value: string]>): Buffer {
  let text = ''
  for (const [key, value] of pairs) {
    if (key.includes('\0') || value.includes('\0')) {
      throw new TypeError(`the value of text key ${shown(key)} holds a NUL; iSCSI text cannot carry it`)
    }
    text += `${key}=${value}\0`
  }
  return Buffer.from(text)
}

/** Text of the other side, made fit for a message: quoted, without control characters, cut at 80 characters. */
export function shown(text: string): string {
  return `"${printable(text.length > 80 ? `${text.slice(0, 80)}…` : text)}"`
}

/** `text` with each control, format and line-breaking character replaced by U+FFFD: safe for terminals and logs. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd')
}

function splitPair(entry: Uint8Array): [string, string] {
  const equals = entry.indexOf(0x3d)
  if (equals < 0) throw new BlockError('PROTOCOL', 'text entry without "="')
  if (equals === 0 || equals > maxKey) {
    throw new BlockError('PROTOCOL', `text key of ${equals} characters, not 1 to ${maxKey}`)
  }
  for (let i = 0; i < equals; i++) {
    if (entry[i]! <= 0x20 || entry[i]! >= 0x7f) {
      throw new BlockError('PROTOCOL', 'text key with a character that is not printable ASCII')
    }
  }
  try {
    return [utf8.decode(entry.subarray(0, equals)), utf8.decode(entry.subarray(equals + 1))]
  } catch {
    throw new BlockError('PROTOCOL', 'text value that is not UTF-8')
  }
}
