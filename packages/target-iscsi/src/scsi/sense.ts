import { get32, get64 } from '@blockbraid/wire'

/** Sense data (SPC-5), fixed or descriptor format. */
export interface Sense {
  /** It tells of an earlier command; the one it came with was not processed. */
  readonly deferred: boolean
  /** Sense key, from 0 to 15; {@link describeSense} names it. */
  readonly key: number
  /** Additional sense code; 0 where not told. */
  readonly asc: number
  /** Additional sense code qualifier; 0 where not told. */
  readonly ascq: number
  /** The LBA that a medium error is about, where told and below 2 ** 53. */
  readonly information: number | undefined
}

/** Decodes the first `length` bytes as sense data. Undefined where they are none or the sense key is not there. */
export function decodeSense(bytes: Uint8Array, length: number = bytes.length): Sense | undefined {
  const end = Math.min(length, bytes.length)
  if (end < 1) return undefined
  const code = bytes[0]! & 0x7f
  if (code === 0x70 || code === 0x71) return decodeFixed(bytes, end, code === 0x71)
  if (code === 0x72 || code === 0x73) return decodeDescriptors(bytes, end, code === 0x73)
  return undefined
}

/** Sense data in short, such as `not ready (02/04/0b)`. */
export function describeSense(sense: Sense): string {
  return `${senseName(sense)} (${senseCodes(sense)})`
}

/** The sense key in words, such as `not ready` or `deferred medium error`. */
export function senseName({ deferred, key }: Sense): string {
  return `${deferred ? 'deferred ' : ''}${keyNames[key]}`
}

/** Sense key, additional code and its qualifier, such as `02/04/0b`. */
export function senseCodes({ key, asc, ascq }: Sense): string {
  return [key, asc, ascq].map((code) => code.toString(16).padStart(2, '0')).join('/')
}

const keyNames = [
  'no sense',
  'recovered error',
  'not ready',
  'medium error',
  'hardware error',
  'illegal request',
  'unit attention',
  'data protect',
  'blank check',
  'vendor specific',
  'copy aborted',
  'aborted command',
  'reserved',
  'volume overflow',
  'miscompare',
  'completed',
]

function decodeFixed(bytes: Uint8Array, length: number, deferred: boolean): Sense | undefined {
  if (length < 3) return undefined
  const end = length < 8 ? length : Math.min(length, 8 + bytes[7]!)
  const told = (bytes[0]! & 0x80) !== 0 && end >= 7
  return {
    deferred,
    key: bytes[2]! & 0x0f,
    asc: end > 12 ? bytes[12]! : 0,
    ascq: end > 13 ? bytes[13]! : 0,
    information: told ? get32(bytes, 3) : undefined,
  }
}

function decodeDescriptors(bytes: Uint8Array, length: number, deferred: boolean): Sense | undefined {
  if (length < 2) return undefined
  return {
    deferred,
    key: bytes[1]! & 0x0f,
    asc: length > 2 ? bytes[2]! : 0,
    ascq: length > 3 ? bytes[3]! : 0,
    information: findInformation(bytes, length),
  }
}

function findInformation(bytes: Uint8Array, length: number): number | undefined {
  const end = length < 8 ? 0 : Math.min(length, 8 + bytes[7]!)
  for (let at = 8; at + 2 <= end; at += 2 + bytes[at + 1]!) {
    const whole = bytes[at + 1]! >= 10 && at + 12 <= end
    if (bytes[at] !== 0 || !whole || (bytes[at + 2]! & 0x80) === 0) continue
    const value = get64(bytes, at + 4)
    return Number.isSafeInteger(value) ? value : undefined
  }
  return undefined
}
