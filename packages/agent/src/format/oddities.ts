import type { LimitsListing, Oddities } from '../snapshot/limits.ts'
import { formatCount, formatSize } from '../text/amounts.ts'
import { rateWords, waitingWords } from '../text/rates.ts'

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
    ...(rates === undefined ? [] : [`rates: ${rateWords(rates)}${waitingWords(throttled)}`]),
  ]
}
