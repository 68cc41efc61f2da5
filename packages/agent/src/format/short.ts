import type { Listing, PathListing } from '../snapshot/listing.ts'
import { formatSize } from '../text/amounts.ts'
import { formatTable, shortenAlike } from '../text/table.ts'

const columns = [
  { title: '' },
  { title: '', align: 'right' },
  { title: '' },
  { title: '', align: 'right' },
  { title: '', elastic: true },
] as const

/** A line for each volume, `width` characters wide: name, size, state, how many of its paths are up, node. */
export function formatShort({ pairs }: Listing, width: number): string[] {
  if (pairs.length === 0) return ['no pairs']
  const names = shortenAlike(
    pairs.map(({ name }) => name),
    Math.max(16, Math.floor(width / 2)),
  )
  const rows = pairs.map(({ size, state, paths, node }, index) => [
    names[index]!,
    formatSize(size),
    state === 'stalled' ? 'STALLED' : state,
    countPaths(paths),
    node,
  ])
  return formatTable(columns, rows, width).slice(1)
}

/** `3/4 paths`: how many are up, of all that there should be. */
export function countPaths(paths: readonly PathListing[]): string {
  const up = paths.filter(({ state }) => state === 'up').length
  return `${up}/${paths.length} ${paths.length === 1 ? 'path' : 'paths'}`
}
