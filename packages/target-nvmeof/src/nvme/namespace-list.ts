import { BlockError } from '@blockbraid/core'
import { get32le } from '@blockbraid/wire'
import { IDENTIFY_LENGTH } from './admin.ts'
import { need } from './bytes.ts'
import { EVERY_NAMESPACE } from './command.ts'

/** Most namespaces of one list. */
export const NAMESPACES_PER_LIST = IDENTIFY_LENGTH / 4

/**
 * Decodes a namespace list (NVMe Base 2.1 §5.1.13.2.2): ascending NSIDs up to the first 0. `undefined`: FFFFFFFFh stands
 * first, more changed than the list has room for. PROTOCOL when cut, or where they do not ascend from `after` on.
 */
export function decodeNamespaceList(bytes: Uint8Array, after = 0): number[] | undefined {
  need(bytes, IDENTIFY_LENGTH, 'a namespace list')
  const found: number[] = []
  let last = after
  for (let at = 0; at < IDENTIFY_LENGTH; at += 4) {
    const nsid = get32le(bytes, at)
    if (nsid === 0) break
    if (nsid === EVERY_NAMESPACE && at === 0) return undefined
    if (nsid <= last) throw new BlockError('PROTOCOL', `a namespace list has ${nsid} after ${last}; NSIDs must ascend`)
    found.push(nsid)
    last = nsid
  }
  return found
}
