import type { Access } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { get16, get32 } from '@blockbraid/wire'

/** A target port group, as REPORT TARGET PORT GROUPS tells of it (SPC-5). */
export interface PortGroup {
  /** Number of the group. */
  readonly group: number
  /** Logical-block-dependent counts as non-optimized, offline and unknown states as unavailable. */
  readonly access: Access
  /** The state as sent. */
  readonly state: number
  /** The array would rather have it used. */
  readonly preferred: boolean
  /** States that the group can be in, without those that core's `Access` does not have. */
  readonly supports: readonly Access[]
  /** Why it is in this state: 0 not told, 1 set by a host, 2 by the array itself. */
  readonly status: number
  /** Relative target port identifiers. */
  readonly ports: readonly number[]
}

/** What REPORT TARGET PORT GROUPS tells. */
export interface PortGroups {
  /** The groups in the order of the answer. */
  readonly groups: readonly PortGroup[]
  /** Bytes of the whole answer: with more than were received the list is cut. */
  readonly length: number
}

const ACCESS: readonly (Access | undefined)[] = [
  'optimized',
  'non-optimized',
  'standby',
  'unavailable',
  'non-optimized',
]
const TRANSITIONING = 0x0f

const SUPPORTED: readonly (readonly [bit: number, access: Access])[] = [
  [0x01, 'optimized'],
  [0x02, 'non-optimized'],
  [0x04, 'standby'],
  [0x08, 'unavailable'],
  [0x80, 'transitioning'],
]

/** Decodes REPORT TARGET PORT GROUPS data: the whole groups of a cut list. PROTOCOL without a whole head. */
export function decodePortGroups(bytes: Uint8Array): PortGroups {
  if (bytes.length < 4) {
    throw new BlockError('PROTOCOL', `REPORT TARGET PORT GROUPS data of ${bytes.length} bytes is too short`)
  }
  const length = 4 + get32(bytes, 0)
  const end = Math.min(length, bytes.length)
  const groups: PortGroup[] = []
  let at = isExtended(bytes.subarray(0, end)) ? 8 : 4
  while (at + 8 <= end) {
    const next = at + 8 + 4 * bytes[at + 7]!
    if (next > end) break
    groups.push(readGroup(bytes, at))
    at = next
  }
  return { groups, length }
}

/** IMPLICIT TRANSITION TIME of REPORT TARGET PORT GROUPS data, seconds; 0 where it is not told, or not the extended header. */
export function transitionTimeOf(bytes: Uint8Array): number {
  return isExtended(bytes) ? bytes[5]! : 0
}

/** The access state of a state code of SPC-5. */
export function accessOf(state: number): Access {
  return state === TRANSITIONING ? 'transitioning' : (ACCESS[state] ?? 'unavailable')
}

/** The group of a port, by the number of its group or else by its relative target port identifier. */
export function groupOf(
  groups: readonly PortGroup[],
  port: { readonly relativePort: number | undefined; readonly portGroup: number | undefined },
): PortGroup | undefined {
  const { relativePort, portGroup } = port
  const byGroup = groups.find((one) => one.group === portGroup)
  if (byGroup !== undefined || relativePort === undefined) return byGroup
  return groups.find((one) => one.ports.includes(relativePort))
}

function readGroup(bytes: Uint8Array, at: number): PortGroup {
  const state = bytes[at]! & 0x0f
  const mask = bytes[at + 1]!
  const ports: number[] = []
  for (let index = 0; index < bytes[at + 7]!; index++) ports.push(get16(bytes, at + 10 + 4 * index))
  return {
    group: get16(bytes, at + 2),
    access: accessOf(state),
    state,
    preferred: (bytes[at]! & 0x80) !== 0,
    supports: SUPPORTED.filter(([bit]) => (mask & bit) !== 0).map(([, access]) => access),
    status: bytes[at + 5]!,
    ports,
  }
}

/** Whether the data has the extended header. Some arrays send it unasked; byte 4 tells it from a group. */
export function isExtended(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && (bytes[4]! & 0x70) === 0x10
}
