import { get16le, get32le } from '@blockbraid/wire'
import { getLong, need } from './bytes.ts'

/** Bytes of the SMART log. */
export const SMART_LENGTH = 512

/** The SMART and health log (NVMe Base 2.1 §5.1.12.1.3); counters above 2 ** 53 are rounded. */
export interface SmartLog {
  /** Bits of what is critical; 0: nothing. */
  readonly critical: number
  /** The same in words. */
  readonly warnings: readonly string[]
  /** Degrees Celsius; undefined where not told. */
  readonly temperature: number | undefined
  /** Spare capacity that is left, percent. */
  readonly spare: number
  /** Where that becomes critical, percent. */
  readonly spareThreshold: number
  /** Life that is used up, percent; it can be above 100. */
  readonly used: number
  /** Thousands of 512 bytes that hosts have read. */
  readonly unitsRead: number
  /** The same that they have written. */
  readonly unitsWritten: number
  /** Commands that read. */
  readonly reads: number
  /** Commands that wrote. */
  readonly writes: number
  /** Minutes with a command to work on. */
  readonly busy: number
  /** How often it was switched on. */
  readonly powerCycles: number
  /** Hours that it was on. */
  readonly powerOnHours: number
  /** How often it lost power without a word. */
  readonly unsafeShutdowns: number
  /** How often data was lost. */
  readonly mediaErrors: number
  /** Entries that the error log has had. */
  readonly errorEntries: number
  /** Minutes above the temperature that warns. */
  readonly warningMinutes: number
  /** Minutes above the critical one. */
  readonly criticalMinutes: number
}

const WARNINGS: readonly string[] = [
  'spare capacity is low',
  'temperature out of bounds',
  'reliability is degraded',
  'media is read only',
  'the backup of volatile memory has failed',
  'persistent memory is read only',
]
const KELVIN = 273

/** Decodes the SMART log. PROTOCOL when cut. */
export function decodeSmartLog(bytes: Uint8Array): SmartLog {
  need(bytes, SMART_LENGTH, 'a SMART log')
  const counter = (at: number): number => getLong(bytes, at, 16)
  const critical = bytes[0]!
  const kelvin = get16le(bytes, 1)
  return {
    critical,
    warnings: WARNINGS.filter((_text, bit) => (critical & (1 << bit)) !== 0),
    temperature: kelvin === 0 ? undefined : kelvin - KELVIN,
    spare: bytes[3]!,
    spareThreshold: bytes[4]!,
    used: bytes[5]!,
    unitsRead: counter(32),
    unitsWritten: counter(48),
    reads: counter(64),
    writes: counter(80),
    busy: counter(96),
    powerCycles: counter(112),
    powerOnHours: counter(128),
    unsafeShutdowns: counter(144),
    mediaErrors: counter(160),
    errorEntries: counter(176),
    warningMinutes: get32le(bytes, 192),
    criticalMinutes: get32le(bytes, 196),
  }
}
