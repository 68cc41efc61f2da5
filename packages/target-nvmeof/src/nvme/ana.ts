import type { Access } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { get16le, get32le } from '@blockbraid/wire'
import { hex64, need } from './bytes.ts'

/** A group of the ANA log: namespaces that change their access state together. */
export interface AnaGroup {
  /** ANAGRPID. */
  readonly id: number
  /** Counts its changes; 16 hex digits. */
  readonly changes: string
  /** What it means for I/O. */
  readonly access: Access
  /** The state as sent: inaccessible, which may pass, is `standby`; persistent loss is `unavailable`. */
  readonly state: number
  /** Its namespaces. */
  readonly namespaces: readonly number[]
}

/** The ANA log (NVMe Base 2.1 §5.1.12.1.13). */
export interface AnaLog {
  /** Counts its changes; 16 hex digits. */
  readonly changes: string
  /** The groups in the order of the log. */
  readonly groups: readonly AnaGroup[]
}

/** States of ANA, as sent. */
export const AnaState = {
  /** The best way. */
  Optimized: 1,
  /** A way that is slower. */
  NonOptimized: 2,
  /** No way now. */
  Inaccessible: 3,
  /** No way any more. */
  PersistentLoss: 4,
  /** Between two of them. */
  Change: 15,
} as const

const ACCESS = new Map<number, Access>([
  [AnaState.Optimized, 'optimized'],
  [AnaState.NonOptimized, 'non-optimized'],
  [AnaState.Inaccessible, 'standby'],
  [AnaState.PersistentLoss, 'unavailable'],
  [AnaState.Change, 'transitioning'],
])

/** Bytes of the head of the log, and of a group without its namespaces. */
export const ANA_HEAD = 16
const ANA_GROUP = 32
/** Bytes of the longest log that is read: 4096 groups, or 30,000 namespaces, or fewer of both. */
export const LONGEST_ANA_LOG = 128 * 1024

/**
 * Decodes the ANA log. PROTOCOL where it ends before its last group does, is longer than 128 KiB, or has a
 * state that is none.
 */
export function decodeAnaLog(bytes: Uint8Array): AnaLog {
  const length = anaLogLength(bytes)
  if (length > bytes.length) throw cut(bytes.length, length)
  const groups: AnaGroup[] = []
  let at = ANA_HEAD
  for (let left = get16le(bytes, 8); left > 0; left--) {
    const id = get32le(bytes, at)
    const state = bytes[at + 16]! & 0x0f
    const access = ACCESS.get(state)
    if (access === undefined) {
      throw new BlockError('PROTOCOL', `ANA group ${id} has the state ${state}; it must be 1 to 4, or 15`)
    }
    const namespaces: number[] = []
    const end = at + ANA_GROUP + 4 * get32le(bytes, at + 4)
    for (let from = at + ANA_GROUP; from < end; from += 4) namespaces.push(get32le(bytes, from))
    groups.push({ id, changes: hex64(bytes, at + 8), access, state, namespaces })
    at = end
  }
  return { changes: hex64(bytes, 0), groups }
}

/**
 * Bytes that the log has, as far as `bytes` tell: with more than there are, so many must be read before it is known.
 * PROTOCOL without a whole head, and above 128 KiB.
 */
export function anaLogLength(bytes: Uint8Array): number {
  need(bytes, ANA_HEAD, 'an ANA log')
  let end = ANA_HEAD
  for (let left = get16le(bytes, 8); left > 0; left--) {
    const at = end
    // Every group that is still to come has a head at least.
    if (at + ANA_GROUP > bytes.length) return bounded(at + ANA_GROUP * left)
    end = at + ANA_GROUP + 4 * get32le(bytes, at + 4)
    if (end > bytes.length) return bounded(end + ANA_GROUP * (left - 1))
  }
  return end
}

function bounded(length: number): number {
  if (length <= LONGEST_ANA_LOG) return length
  throw new BlockError('PROTOCOL', `an ANA log of ${length} bytes is longer than ${LONGEST_ANA_LOG}`)
}

function cut(length: number, told: number): BlockError {
  return new BlockError('PROTOCOL', `an ANA log of ${length} bytes ends before its last group, at ${told}`)
}

/** The group that has a namespace: by its ANAGRPID, or where it is not known by the lists of the log. */
export function anaGroupOf(log: AnaLog, nsid: number, anaGroup?: number): AnaGroup | undefined {
  const listed = log.groups.find((group) => group.namespaces.includes(nsid))
  return listed ?? log.groups.find((group) => group.id === anaGroup)
}
