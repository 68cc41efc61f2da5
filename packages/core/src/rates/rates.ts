import { checkedRecord } from '../checked-record.ts'

/** What the I/O of a pair is held to: see {@link BlockDevicePair.setRates}. */
export interface Rates {
  /** I/Os a second, a whole number; left out: any. A trim and zeroes that the storage writes count by pieces of 64 MiB, a flush as one. */
  readonly iops?: number
  /** Bytes a second that are read and written, zeroes that have to be written too; a whole number from 4096 on; left out: any. */
  readonly bytesPerSecond?: number
  /** How much may go at once after a time with less I/O: as much as the rates allow in so many milliseconds. @defaultValue 100 */
  readonly burst?: number
}

/** {@link Rates} with its default in place. */
export type ResolvedRates = Rates & Required<Pick<Rates, 'burst'>>

const BURST = 100
const LONGEST_BURST = 3_600_000
// Less is a slip of the unit: a block of the largest size takes 16 seconds then.
const LEAST_BYTES = 4096

/** Checks rates and fills in the default; undefined where they hold nothing back. Throws a TypeError that names a wrong field. */
export function resolveRates(rates: Rates | undefined): ResolvedRates | undefined {
  if (rates === undefined) return undefined
  checkedRecord('rates', rates)
  const { iops, bytesPerSecond, burst = BURST } = rates
  checkWhole('iops', iops, 1)
  checkWhole('bytesPerSecond', bytesPerSecond, LEAST_BYTES)
  if (!(typeof burst === 'number' && burst >= 0 && burst <= LONGEST_BURST)) {
    throw new TypeError(`burst is ${burst}; it must be 0 to ${LONGEST_BURST} milliseconds`)
  }
  if (iops === undefined && bytesPerSecond === undefined) return undefined
  return { ...(iops !== undefined && { iops }), ...(bytesPerSecond !== undefined && { bytesPerSecond }), burst }
}

function checkWhole(field: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return
  throw new TypeError(`${field} is ${value}; it must be a whole number of ${least} or more`)
}
