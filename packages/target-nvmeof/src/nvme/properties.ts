import { get16le, put32le } from '@blockbraid/wire'
import type { Completion } from './procedure.ts'

/** Offsets of properties (NVMe Base 2.1 §3.1.4). */
export const Property = {
  /** Capabilities, 8 bytes. */
  Capabilities: 0x00,
  /** Version, 4 bytes. */
  Version: 0x08,
  /** Configuration, 4 bytes. */
  Configuration: 0x14,
  /** Status, 4 bytes. */
  Status: 0x1c,
} as const

/** CAP: what a controller can do. */
export interface Capabilities {
  /** Most entries of a queue (MQES, counted from 1). */
  readonly queueEntries: number
  /** The longest that it takes to become ready or not ready, milliseconds (CAP.TO). */
  readonly readyTimeout: number
  /** The least and the largest memory page, as powers of two from 4096 bytes on (MPSMIN, MPSMAX). */
  readonly leastPage: number
  readonly largestPage: number
  /** Whether the NVM command set can be chosen (CSS bit 0), and all that it has together (bit 6). */
  readonly nvm: boolean
  readonly everySet: boolean
}

/** Decodes CAP out of the answer to Property Get. */
export function decodeCapabilities({ result, resultHigh }: Completion): Capabilities {
  const bytes = new Uint8Array(8)
  put32le(bytes, 0, result)
  put32le(bytes, 4, resultHigh)
  const sets = (get16le(bytes, 4) >>> 5) & 0xff
  return {
    queueEntries: get16le(bytes, 0) + 1,
    // In units of 500 ms; 0 says nothing, and is taken as the least.
    readyTimeout: Math.max(1, bytes[3]!) * 500,
    leastPage: bytes[6]! & 0x0f,
    largestPage: bytes[6]! >>> 4,
    nvm: (sets & 0x01) !== 0,
    everySet: (sets & 0x40) !== 0,
  }
}

/** Shutdown notification of CC. */
export const Shutdown = { None: 0, Normal: 1, Abrupt: 2 } as const

// Entries of 64 and 16 bytes, as powers of two.
const ENTRY_SIZES = (6 << 16) | (4 << 20)
const SET_NVM = 0
const SET_EVERY = 6

/** CC of a controller that is enabled for these capabilities, or told to shut down. */
export function configuration({ leastPage, nvm, everySet }: Capabilities, shutdown: number = Shutdown.None): number {
  const set = !nvm && everySet ? SET_EVERY : SET_NVM
  return ENTRY_SIZES | (shutdown << 14) | (leastPage << 7) | (set << 4) | 1
}

/** CC of one that is disabled: EN and all that may change with it zero. */
export const DISABLED = ENTRY_SIZES

/** CSTS. */
export interface ControllerStatus {
  /** It can take commands (RDY). */
  readonly ready: boolean
  /** It has failed (CFS). */
  readonly fatal: boolean
  /** A shutdown: 0 none, 1 in progress, 2 done (SHST). */
  readonly shutdown: number
}

/** Decodes CSTS. */
export function decodeStatus(csts: number): ControllerStatus {
  return { ready: (csts & 1) !== 0, fatal: (csts & 2) !== 0, shutdown: (csts >>> 2) & 3 }
}

/** VS as text, such as `2.1`; where the last number is 0 it is left out. */
export function versionText(version: number): string {
  const last = version & 0xff
  return `${version >>> 16}.${(version >>> 8) & 0xff}${last === 0 ? '' : `.${last}`}`
}
