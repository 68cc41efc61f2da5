import type { BlockDevicePair, DeviceLimits, LimitsDetail } from '@blockbraid/core'
import { formatSize } from './format/amounts.ts'

/** What a change of limits means, in words: a line of what may be done, and one of what the storage does. */
export function describeLimits(
  { limits, before, path }: LimitsDetail,
  { paths, kernel }: Pick<BlockDevicePair, 'paths' | 'kernel'>,
): string[] {
  const tells = paths.some(({ id, state }) => id === path && state === 'up')
  const lines: string[] = []
  if (limits.readOnly && !before.readOnly) {
    lines.push(`now read-only: ${tells ? `path ${path} says write protected` : 'no path that is left takes changes'}`)
  } else if (before.readOnly && !limits.readOnly) {
    const isExport = !kernel.node.startsWith('/dev/')
    const advice = isExport ? '; clients that connected meanwhile write once they have connected again' : ''
    lines.push(`writable again${tells ? `: path ${path} takes changes` : ''}${advice}`)
  }
  const changes = changesBetween(before, limits)
  if (changes.length > 0) lines.push(`the storage now ${changes.join(', ')}${tells ? ` (path ${path})` : ''}`)
  return lines
}

function changesBetween(before: DeviceLimits, now: DeviceLimits): string[] {
  const changes: string[] = []
  if (now.writeCache !== before.writeCache) changes.push(now.writeCache ? 'has a write cache' : 'has no write cache')
  if (now.fua !== before.fua) changes.push(now.fua ? 'knows FUA' : 'knows no FUA, so that a flush stands for it')
  if (now.trim !== before.trim) changes.push(now.trim ? 'takes trims' : 'takes no trims')
  if (now.writeZeroes !== before.writeZeroes) {
    changes.push(now.writeZeroes ? 'writes zeroes itself' : 'writes no zeroes itself')
  }
  if (now.maxTransfer !== before.maxTransfer) changes.push(`takes ${formatSize(now.maxTransfer)} at once`)
  return changes
}
