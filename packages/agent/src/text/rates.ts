import type { Rates } from '@blockbraid/core'
import { formatCount, formatSize } from './amounts.ts'

/** What I/O of a pair is held to, in words. */
export function rateWords({ iops, bytesPerSecond, burst }: Rates): string {
  return [
    ...(iops === undefined ? [] : [`${iops} IOPS`]),
    ...(bytesPerSecond === undefined ? [] : [`${formatSize(bytesPerSecond)}/s`]),
    `burst ${burst} ms`,
  ].join(', ')
}

/** How many wait for their rates, as the end of a sentence. */
export function waitingWords(throttled: number): string {
  return throttled === 0 ? '' : `; ${formatCount(throttled)} I/O${throttled === 1 ? ' waits' : 's wait'} for them`
}
