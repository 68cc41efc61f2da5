import type { BlockDevice, Extent } from '@blockbraid/core'
import { get32, put32, put64 } from '@blockbraid/wire'
import { ALLOCATION_CONTEXT_ID, ExtentFlag } from '../protocol.ts'

// A reply of 2 ** 20 extents is the most the protocol wants; ours stay far below.
const MAX_EXTENTS = 4096
const MAX_COMPACT_LENGTH = 0xffff_0000

/** Bytes; the longest body of a reply, which counts against the connection's limit while the device is asked. */
export const MAX_STATUS_REPLY = 8 + 16 * MAX_EXTENTS

/** Bytes; the longest payload of an extended block status that is looked at: one effect length and the ids. */
export const MAX_STATUS_PAYLOAD = 8 + 16 * 4

/** The effect length of an extended block status with payload, or undefined where its ids are not ours. */
export function statusPayloadLength(views: readonly Uint8Array[]): number | undefined {
  const payload = Buffer.concat(views)
  // The effect length and exactly one id, as there is one context and duplicates are errors.
  if (payload.length !== 12 || get32(payload, 8) !== ALLOCATION_CONTEXT_ID) return undefined
  return get32(payload, 0) * 2 ** 32 + get32(payload, 4)
}

interface Run {
  length: number
  flags: number
}

/** Extents as runs of one state each, cut to the request; a device that says nothing is taken as allocated. */
function runsOf(extents: readonly Extent[], length: number, limit: number, longest: number): Run[] {
  const runs: Run[] = []
  let left = length
  for (const extent of extents) {
    if (left <= 0) break
    const flags = (extent.hole ? ExtentFlag.Hole : 0) | (extent.zero ? ExtentFlag.Zero : 0)
    const size = Math.min(extent.length, left)
    const last = runs.at(-1)
    if (size <= 0) continue
    if (last !== undefined && last.flags === flags && last.length + size <= longest) last.length += size
    else if (runs.length === limit) break
    else if (size > longest) {
      runs.push({ length: longest, flags })
      break
    } else runs.push({ length: size, flags })
    left -= size
  }
  if (runs.length === 0) runs.push({ length: Math.min(length, longest), flags: 0 })
  return runs
}

/** Asks the device and encodes the body of a block status reply (BLOCK_STATUS, or BLOCK_STATUS_EXT). */
export async function blockStatus(
  device: BlockDevice,
  offset: number,
  length: number,
  one: boolean,
  extended: boolean,
  signal: AbortSignal,
): Promise<Buffer> {
  const extents = await device.extents!(offset, length, { signal })
  const longest = extended ? Number.MAX_SAFE_INTEGER : MAX_COMPACT_LENGTH
  const runs = runsOf(extents, length, one ? 1 : MAX_EXTENTS, longest)
  const prefix = extended ? 8 : 4
  const entry = extended ? 16 : 8
  const body = Buffer.alloc(prefix + runs.length * entry)
  put32(body, 0, ALLOCATION_CONTEXT_ID)
  if (extended) put32(body, 4, runs.length)
  let at = prefix
  for (const run of runs) {
    if (extended) {
      put64(body, at, run.length)
      put64(body, at + 8, run.flags)
    } else {
      put32(body, at, run.length)
      put32(body, at + 4, run.flags)
    }
    at += entry
  }
  return body
}
