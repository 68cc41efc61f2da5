import { BlockError } from '@blockbraid/core'
import { get32 } from '@blockbraid/wire'
import type { Lun } from './lun.ts'
import { readLun } from './lun.ts'

/** What REPORT LUNS tells (SPC-5). */
export interface LunList {
  /** Each once, in the order of the answer. */
  readonly luns: readonly Lun[]
  /** Bytes of the whole answer: with more than were received the list is cut. */
  readonly length: number
}

/** Decodes REPORT LUNS data: the whole LUNs of a cut list. PROTOCOL without a whole head. */
export function decodeLuns(bytes: Uint8Array): LunList {
  if (bytes.length < 8) throw new BlockError('PROTOCOL', `REPORT LUNS data of ${bytes.length} bytes is too short`)
  const length = 8 + get32(bytes, 0)
  const end = Math.min(length, bytes.length)
  const luns = new Map<string, Lun>()
  for (let at = 8; at + 8 <= end; at += 8) {
    const lun = readLun(bytes, at)
    if (!luns.has(lun.name)) luns.set(lun.name, lun)
  }
  return { luns: [...luns.values()], length }
}
