import { BlockError } from '@blockbraid/core'
import { IDENTIFY_LENGTH } from './admin.ts'
import { need } from './bytes.ts'

/** Types of namespace identification descriptors (NVMe Base 2.1 §5.1.13.2.3). */
export const DescriptorType = {
  /** EUI-64: 8 bytes. */
  Eui64: 1,
  /** NGUID: 16 bytes. */
  Nguid: 2,
  /** UUID: 16 bytes. */
  Uuid: 3,
  /** Command set identifier: 1 byte. */
  CommandSet: 4,
} as const

/** What a namespace says of who it is: each undefined where it has none. */
export interface Descriptors {
  /** EUI-64, 8 bytes. */
  readonly eui64: Uint8Array | undefined
  /** NGUID, 16 bytes. */
  readonly nguid: Uint8Array | undefined
  /** UUID, 16 bytes in the order of RFC 9562. */
  readonly uuid: Uint8Array | undefined
  /** 0: NVM; undefined where it does not say. */
  readonly commandSet: number | undefined
}

const LENGTHS = new Map<number, number>([
  [DescriptorType.Eui64, 8],
  [DescriptorType.Nguid, 16],
  [DescriptorType.Uuid, 16],
  [DescriptorType.CommandSet, 1],
])

/**
 * Decodes the identification descriptors of a namespace. Of several of one type the first counts, one that is not known is
 * passed over. PROTOCOL when cut, and where one has not the length of its type.
 */
export function decodeDescriptors(bytes: Uint8Array): Descriptors {
  need(bytes, IDENTIFY_LENGTH, 'namespace identification descriptors')
  const found = new Map<number, Uint8Array>()
  for (let at = 0; at + 4 <= IDENTIFY_LENGTH && bytes[at] !== 0; at += 4 + bytes[at + 1]!) {
    const type = bytes[at]!
    const length = bytes[at + 1]!
    const expected = LENGTHS.get(type) ?? length
    if (length === 0 || length !== expected || at + 4 + length > IDENTIFY_LENGTH) {
      throw new BlockError(
        'PROTOCOL',
        `a namespace identification descriptor of type ${type} has ${length} bytes at ${at}; it must have ${expected || 'some'}`,
      )
    }
    if (!found.has(type)) found.set(type, bytes.subarray(at + 4, at + 4 + length))
  }
  return {
    eui64: found.get(DescriptorType.Eui64),
    nguid: found.get(DescriptorType.Nguid),
    uuid: found.get(DescriptorType.Uuid),
    commandSet: found.get(DescriptorType.CommandSet)?.[0],
  }
}
