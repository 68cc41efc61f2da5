import type { Rates } from '@blockbraid/core'
import type { LimitsListing, Oddities } from '../snapshot/limits.ts'
import { formatCount, formatSize } from '../text/amounts.ts'

/** What of the limits is out of the ordinary, in words. */
function limitWords({ readOnly, writeCache, fua, trim, writeZeroes, maxTransfer }: LimitsListing): string[] {
  return [
    ...(readOnly === true ? ['read-only'] : []),
    ...(writeCache === false ? ['no write cache'] : []),
    ...(fua === false ? ['no FUA'] : []),
    ...(trim === false ? ['no trim'] : []),
    ...(writeZeroes === false ? ['no write zeroes'] : []),
    ...(maxTransfer === undefined ? [] : [`at most ${formatSize(maxTransfer)} at once`]),
  ]
}

/** What I/O of a pair is held to, in words. */
export function rateWords({ iops, bytesPerSecond, burst }: Rates): string {
  return [
    ...(iops === undefined ? [] : [`${iops} IOPS`]),
    ...(bytesPerSecond === undefined ? [] : [`${formatSize(bytesPerSecond)}/s`]),
    `burst ${burst} ms`,
  ].join(', ')
}

/** What of a pair is out of the ordinary, a sentence each. */
export function oddities({ limits = {}, policyFaults = 0, behind, rates, throttled = 0 }: Oddities): string[] {
  const words = limitWords(limits)
  return [
    ...(words.length === 0 ? [] : [`limits: ${words.join(', ')}`]),
    ...(policyFaults === 0
      ? []
      : [
          `policy: failed ${formatCount(policyFaults)} ${policyFaults === 1 ? 'time' : 'times'}, the first path served`,
        ]),
    ...(behind === undefined ? [] : [`node: ${behind}`]),
    ...(rates === undefined ? [] : [`rates: ${rateWords(rates)}${waiting(throttled)}`]),
  ]
}

/** How many wait for their rates, as the end of a sentence. */
export function waiting(throttled: number): string {
  return throttled === 0 ? '' : `; ${formatCount(throttled)} I/O${throttled === 1 ? ' waits' : 's wait'} for them`
}
