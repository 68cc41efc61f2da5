import { isKernelNode } from '../nodes/kernel-node.ts'
import type { Listing, PairListing, PathListing } from '../snapshot/listing.ts'
import type { MissingListing } from '../snapshot/missing.ts'
import { formatAge, formatCount, formatMicroseconds, formatSize } from '../text/amounts.ts'
import { wrap } from '../text/facts.ts'
import { printable, shorten, shortenAlike } from '../text/table.ts'
import { summarizeGuards } from './guards.ts'
import { oddities } from './oddities.ts'

/** I/Os a second by pair name and path id; empty where it is not known. */
export type Rates = ReadonlyMap<string, number>

/** Key of a path in {@link Rates}. */
export function rateKey(pair: string, path: string): string {
  return `${pair} ${path}`
}

/** Rates between two listings that were taken `seconds` apart. */
export function ratesBetween(before: Listing, after: Listing, seconds: number): Rates {
  const counts = new Map<string, number>()
  for (const pair of before.pairs) for (const path of pair.paths) counts.set(rateKey(pair.name, path.id), path.ios)
  const rates = new Map<string, number>()
  for (const pair of after.pairs) {
    for (const path of pair.paths) {
      const key = rateKey(pair.name, path.id)
      const count = counts.get(key)
      if (count !== undefined) rates.set(key, Math.max(0, path.ios - count) / seconds)
    }
  }
  return rates
}

// access, state, in flight, IOPS, latency, each with the space before it
const cells = [14, 11, 10, 7, 9] as const
const cellsWidth = cells.reduce((sum, width) => sum + width, 0)

/** A tree of pairs and their paths at the time of day `now`, milliseconds, `width` characters wide. */
export function formatListing(listing: Listing, rates: Rates, width: number, now: number = Date.now()): string[] {
  const missing = (listing.missing ?? []).map((one) => formatMissing(one, width, now))
  if (listing.pairs.length === 0) return ['no pairs', ...missing]
  const names = listing.pairs.flatMap((pair) => pair.paths.map((path) => path.id.length))
  const idWidth = Math.max(8, Math.min(Math.max(8, ...names), width - cellsWidth - 3))
  const title = `${' '.repeat(idWidth + 3)}${row(['access', 'state', 'in flight', 'IOPS', 'latency'])}`
  return [title, ...listing.pairs.flatMap((pair) => formatPair(pair, rates, idWidth, width, now)), ...missing]
}

function formatMissing({ what, why, since }: MissingListing, width: number, now: number): string {
  const age = ` (since ${formatAge(since, now)})`
  return `${shorten(printable(`missing: ${what}: ${why}`), width - age.length)}${age}`
}

function formatPair(pair: PairListing, rates: Rates, idWidth: number, width: number, now: number): string[] {
  const state = stateOf(pair)
  const facts = [
    `${formatSize(pair.size)} in blocks of ${formatSize(pair.blockSize)}`,
    pair.policy || 'no policy',
    state,
  ]
  const lines = [`${pair.name}  ${pair.volume}`, `  ${facts.join(', ')}`, `  ${describeNode(pair)}`]
  lines.push(...oddities(pair).map((text) => `  ${text}`))
  lines.push(...weakFences(pair).map((text) => `  ${text}`))
  // An agent of an earlier version tells of none.
  lines.push(...summarizeGuards(pair.guards ?? [], pair.name, width, now))
  const ids = shortenAlike(
    pair.paths.map((path) => path.id),
    idWidth,
  )
  pair.paths.forEach((path, index) => {
    const last = index === pair.paths.length - 1
    const text = row([
      path.access ?? '-',
      path.state === 'up' ? (path.health ?? path.state) : path.state,
      String(path.inflight),
      formatCount(rates.get(rateKey(pair.name, path.id)) ?? 0),
      formatMicroseconds(path.latencyUs),
    ])
    lines.push(`${last ? '`- ' : '|- '}${ids[index]!.padEnd(idWidth)}${text}`)
    const words = `${path.reason}${describeHeld(path, now)}`
    if (words !== '') lines.push(...wrap(words, width - 5).map((line) => `${last ? '   ' : '|  '}  ${line}`))
  })
  if (pair.paths.length === 0) lines.push('`- no paths')
  return lines.map((line) => shorten(printable(line), width).trimEnd())
}

/** What waits for the fence of a path, and for how long. */
function describeHeld({ held, since }: PathListing, now: number): string {
  if (held === undefined) return ''
  const what = held.ios === 1 ? '1 change waits' : `${formatCount(held.ios)} changes wait`
  return `; ${what} for that, for ${formatAge(since, now)} so far`
}

/** How many paths have no better fence than a time that the storage does not state, or none at all. */
function weakFences({ paths }: PairListing): string[] {
  const words = paths.flatMap(({ fence }) => {
    if (fence?.assumed === true) return [`assumed (${fence.by})`]
    return fence?.by === 'nothing' ? ['nothing'] : []
  })
  const up = paths.filter(({ state }) => state === 'up').length
  return [...new Set(words)].map((by) => {
    const count = words.filter((word) => word === by).length
    return `fence: ${by} for ${count === up ? 'every path' : `${count} of ${paths.length} paths`}`
  })
}

function stateOf({ state, parked }: PairListing): string {
  if (state === 'stalled') return `STALLED, ${parked} I/Os wait`
  return state === 'lost' ? 'LOST, its node was taken away' : state
}

function describeNode({ node, tookOver }: PairListing): string {
  if (!isKernelNode(node)) return node
  return `${node}, kernel node${tookOver ? ', taken over' : ''}`
}

function row(texts: readonly [string, string, string, string, string]): string {
  return texts
    .map((text, index) => {
      const cell = shorten(text, cells[index]! - 1)
      return index < 2 ? ` ${cell.padEnd(cells[index]! - 1)}` : cell.padStart(cells[index]!)
    })
    .join('')
}
