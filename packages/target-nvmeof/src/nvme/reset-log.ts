import { get16le } from '@blockbraid/wire'
import { need } from './bytes.ts'

/** Bytes of the head of the log of cross-controller resets, and of an entry. */
export const RESET_HEAD = 8
export const RESET_ENTRY = 8
/** Entries that are read at most: CCRL is one byte. */
export const MAX_RESETS = 255
/** Log specific parameter that has entries of resets that are over removed. */
export const REMOVE_COMPLETED = 1

/** A cross-controller reset (NVMe Base 2.3, log page 1Eh). */
export interface ResetEntry {
  /** CNTLID of the controller that is reset. */
  readonly id: number
  /** Its CIU. */
  readonly instance: number
  /** How far it is; `done` is the one that proves anything. */
  readonly state: 'running' | 'done' | 'failed'
}

/** Decodes the log of cross-controller resets: the entries that came whole. PROTOCOL without a whole head. */
export function decodeResetLog(bytes: Uint8Array): ResetEntry[] {
  need(bytes, RESET_HEAD, 'a log of cross-controller resets')
  const entries: ResetEntry[] = []
  const count = Math.min(get16le(bytes, 0), MAX_RESETS)
  for (let at = RESET_HEAD; at + RESET_ENTRY <= bytes.length && entries.length < count; at += RESET_ENTRY) {
    const state = bytes[at + 6]!
    entries.push({
      id: get16le(bytes, at),
      instance: bytes[at + 2]!,
      // A state that is not known proves nothing.
      state: state === 0 ? 'running' : state === 1 ? 'done' : 'failed',
    })
  }
  return entries
}
