import type { BlockDevicePair, DeviceLimits, Rates } from '@blockbraid/core'
import { policyFaultsOf } from '../pairs/policy-faults.ts'

/** What of a volume is out of the ordinary; the ordinary one has a write cache, and takes what there is. */
export interface LimitsListing {
  /** Nothing can be changed. */
  readonly readOnly?: true
  /** What is acknowledged is durable. */
  readonly writeCache?: false
  /** A write that must be durable costs a flush. */
  readonly fua?: false
  /** Trims are ignored. */
  readonly trim?: false
  /** Zeroes are written as data. */
  readonly writeZeroes?: false
  /** Bytes; the largest transfer, where it is below 1 MiB. */
  readonly maxTransfer?: number
}

/** What of a pair is out of the ordinary; each is left out where it is not. */
export interface Oddities {
  /** What of its limits is out of the ordinary; left out where nothing is. */
  readonly limits?: LimitsListing
  /** How often the policy, since it was exchanged, threw or chose what was not in its list; left out where it never did. */
  readonly policyFaults?: number
  /** What the node could not follow of size and limits, for people; left out where it shows them as they are. */
  readonly behind?: string
  /** What its I/O is held to, `burst` in milliseconds; left out where it is held to nothing. */
  readonly rates?: Rates
  /** I/Os that wait since `rates` allow no more now; left out where none does. */
  readonly throttled?: number
}

/** What of a pair is out of the ordinary; `hide` takes secrets out of the words of targets. */
export function listOddities(pair: BlockDevicePair, hide: (text: string) => string): Oddities {
  const { limits, behind, rates, throttled } = pair
  const policyFaults = policyFaultsOf(pair)
  const odd = oddLimits(limits)
  return {
    ...(Object.keys(odd).length > 0 && { limits: odd }),
    ...(policyFaults > 0 && { policyFaults }),
    ...(behind !== '' && { behind: hide(behind) }),
    ...(rates !== undefined && { rates }),
    ...(throttled > 0 && { throttled }),
  }
}

// Below this a transfer is small.
const ORDINARY_TRANSFER = 2 ** 20

function oddLimits({ readOnly, writeCache, fua, trim, writeZeroes, maxTransfer }: DeviceLimits): LimitsListing {
  return {
    ...(readOnly && { readOnly }),
    ...(!writeCache && { writeCache }),
    ...(!fua && { fua }),
    ...(!trim && { trim }),
    ...(!writeZeroes && { writeZeroes }),
    ...(maxTransfer < ORDINARY_TRANSFER && { maxTransfer }),
  }
}
