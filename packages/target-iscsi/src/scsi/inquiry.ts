import { BlockError } from '@blockbraid/core'
import { printable, slice } from './bytes.ts'

/** Standard INQUIRY data (SPC-5). */
export interface Inquiry {
  /** Peripheral qualifier: 0 a logical unit is there, 1 could be there, 3 cannot be there. */
  readonly qualifier: number
  /** Peripheral device type: 0 is a disk; see {@link deviceTypeName}. */
  readonly type: number
  /** The medium can be removed (RMB). */
  readonly removable: boolean
  /** Version of SPC: 5 is SPC-3, 6 SPC-4, 7 SPC-5. */
  readonly version: number
  /** Target port group support: 0 none, 1 implicit, 2 explicit, 3 both. */
  readonly tpgs: number
  /** Third-party copy is supported. */
  readonly thirdPartyCopy: boolean
  /** Protection information is supported. */
  readonly protect: boolean
  /** Vendor, for people. */
  readonly vendor: string
  /** Product, for people. */
  readonly product: string
  /** Revision of the product, for people. */
  readonly revision: string
  /** Vendor and product as sent: 24 bytes, fewer in a short answer. */
  readonly id: Uint8Array
}

/** Decodes standard INQUIRY data; what a short answer leaves out is zero or empty. PROTOCOL below 5 bytes. */
export function decodeInquiry(bytes: Uint8Array): Inquiry {
  if (bytes.length < 5) throw new BlockError('PROTOCOL', `INQUIRY data of ${bytes.length} bytes is too short`)
  const data = slice(bytes, 0, 5 + bytes[4]!)
  const flags = data[5] ?? 0
  return {
    qualifier: data[0]! >>> 5,
    type: data[0]! & 0x1f,
    removable: (data[1]! & 0x80) !== 0,
    version: data[2]!,
    tpgs: (flags >>> 4) & 3,
    thirdPartyCopy: (flags & 0x08) !== 0,
    protect: (flags & 0x01) !== 0,
    vendor: printable(slice(data, 8, 16)),
    product: printable(slice(data, 16, 32)),
    revision: printable(slice(data, 32, 36)),
    id: slice(data, 8, 32),
  }
}

/** Whether a disk that can be used is there. */
export function isDisk(inquiry: Inquiry): boolean {
  return inquiry.qualifier === 0 && inquiry.type === 0
}

const typeNames = new Map<number, string>([
  [0x00, 'disk'],
  [0x01, 'tape'],
  [0x03, 'processor'],
  [0x05, 'cd/dvd'],
  [0x07, 'optical memory'],
  [0x08, 'media changer'],
  [0x0c, 'storage array controller'],
  [0x0d, 'enclosure services'],
  [0x0e, 'simplified disk'],
  [0x11, 'object storage'],
  [0x14, 'zoned disk'],
  [0x1e, 'well-known logical unit'],
  [0x1f, 'no device'],
])

/** Name of a peripheral device type, for people. */
export function deviceTypeName(type: number): string {
  return typeNames.get(type) ?? `type 0x${type.toString(16).padStart(2, '0')}`
}
