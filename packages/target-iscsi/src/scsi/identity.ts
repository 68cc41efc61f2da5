import { createHash } from 'node:crypto'
import type { VolumeId } from '@blockbraid/core'
import { isVolumeId } from '@blockbraid/core'
import { hex, unpadded } from './bytes.ts'
import type { Designator } from './designators.ts'
import { Association, CodeSet, DesignatorType, uuidText } from './designators.ts'
import type { Inquiry } from './inquiry.ts'

/**
 * The identity of a logical unit. Designators of VPD page 0x83 that name the logical unit count, the best kind first:
 * NAA 6, NAA 5, NAA 2, EUI-64, UUID (each also as a SCSI name string), NAA 3, which is unique among one owner's
 * arrays only, then T10 vendor identification. Without any, vendor, product and unit serial number together.
 * Of several of one kind the one that sorts first, so that their order in the page does not matter.
 * One that is blank, or whose digits are all zero or all ones, counts as none. Undefined without an identity.
 */
export function volumeIdOf(
  designators: readonly Designator[],
  serial: Uint8Array | undefined,
  inquiry: Inquiry | undefined,
): VolumeId | undefined {
  const found = designators.map(candidateOf).filter((one) => one !== undefined)
  found.sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1))
  return found[0]?.id ?? serialId(serial, inquiry)
}

interface Candidate {
  readonly rank: number
  readonly id: VolumeId
}

const NAA_RANKS = new Map([
  ['6', 0],
  ['5', 1],
  ['2', 2],
  ['3', 5],
])
const EUI_RANK = 3
const UUID_RANK = 4
const T10_RANK = 6

function candidateOf({ association, type, codeSet, bytes }: Designator): Candidate | undefined {
  if (association !== Association.LogicalUnit) return undefined
  if (type === DesignatorType.T10) return t10Candidate(codeSet, bytes)
  if (type === DesignatorType.Name && codeSet === CodeSet.Utf8) return named(nameString(bytes))
  if (codeSet !== CodeSet.Binary) return undefined
  if (type === DesignatorType.Naa) return named(`naa.${hex(bytes)}`)
  if (type === DesignatorType.Eui64) return named(`eui.${hex(bytes)}`)
  if (type === DesignatorType.Uuid && bytes.length === 18 && bytes[0]! >>> 4 === 1) {
    return named(`uuid.${uuidText(bytes.subarray(2))}`)
  }
  return undefined
}

/** A candidate of one of the forms that are unique in themselves. */
function named(id: string): Candidate | undefined {
  if (!isVolumeId(id)) return undefined
  const form = id.slice(0, id.indexOf('.'))
  const digits = id.slice(form.length + 1)
  if (form === 'naa') {
    const rank = NAA_RANKS.get(digits[0]!)
    const fits = (digits[0] === '6') === (digits.length === 32)
    return rank === undefined || !fits || isUnset(digits.slice(1)) ? undefined : { rank, id }
  }
  if (isUnset(digits)) return undefined
  if (form === 'eui') return { rank: EUI_RANK, id }
  return form === 'uuid' ? { rank: UUID_RANK, id } : undefined
}

function isUnset(digits: string): boolean {
  return /^[0-]*$|^[f-]*$/.test(digits)
}

/** Upper case is allowed in the digits of a name string, and zero bytes after it. */
function nameString(bytes: Uint8Array): string {
  return Buffer.from(unpadded(bytes)).toString('latin1').toLowerCase()
}

/** Eight bytes of vendor, then what the vendor made unique; the vendor alone names no logical unit. */
function t10Candidate(codeSet: number, bytes: Uint8Array): Candidate | undefined {
  if (isBlank(bytes.subarray(8))) return undefined
  return { rank: T10_RANK, id: `t10.${fitted(codeSet === CodeSet.Binary ? bytes : unpadded(bytes))}` }
}

function serialId(serial: Uint8Array | undefined, inquiry: Inquiry | undefined): VolumeId | undefined {
  if (serial === undefined || inquiry === undefined || isBlank(serial)) return undefined
  const text = new Uint8Array(24 + serial.length).fill(0x20)
  text.set(inquiry.id)
  text.set(serial, 24)
  return `serial.${fitted(unpadded(text))}`
}

/** Made of blanks, zero bytes, digits 0 and unwritten bytes alone. */
function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0 || byte === 0x20 || byte === 0x30 || byte === 0xff)
}

const LONGEST = 224
const DIGEST = 64

/**
 * Bytes as the text of an identity, never the same for two: what is not printable, `%`, and a blank at either end as
 * `%` and two hex digits; a text above 224 characters as its first 158, `%#`, and its SHA-256 in hex.
 */
function fitted(bytes: Uint8Array): string {
  const last = bytes.length - 1
  let text = ''
  bytes.forEach((byte, index) => {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25
    const inner = byte === 0x20 && index > 0 && index < last
    text += plain || inner ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`
  })
  if (text.length <= LONGEST) return text
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text.slice(0, LONGEST - DIGEST - 2)}%#${digest}`
}
