import type { DeviceLimits } from '@blockbraid/core'
import { formatSize } from '../text/amounts.ts'

const words = {
  readOnly: ['now read-only', 'writable again'],
  writeCache: ['write cache on', 'write cache off'],
  fua: ['FUA offered', 'FUA no longer offered'],
  trim: ['trim offered', 'trim no longer offered'],
  writeZeroes: ['write zeroes offered', 'write zeroes no longer offered'],
} as const

/** What a volume can do that it could not before, or no longer can, in words; an empty text where people need not know. */
export function describeLimitChange(before: DeviceLimits, now: DeviceLimits): string {
  const changes: string[] = []
  for (const [name, [on, off]] of Object.entries(words)) {
    const field = name as keyof typeof words
    if (before[field] !== now[field]) changes.push(now[field] ? on : off)
  }
  if (before.maxTransfer !== now.maxTransfer) changes.push(`at most ${formatSize(now.maxTransfer)} at once`)
  return changes.join(', ')
}
