import type { Listing, PairListing } from '../snapshot/listing.ts'
import { formatCount, formatMicroseconds, formatRate } from '../text/amounts.ts'
import { printable, shorten, shortenAlike } from '../text/table.ts'
import type { Load } from './rates.ts'
import { loadKey } from './rates.ts'

/** Loads by pair and path; see `loadsBetween`. */
export type Loads = ReadonlyMap<string, Load>

/** What pairs are sorted by. */
export type Order = 'name' | 'iops' | 'rate' | 'latency' | 'errors'

/** How a picture is to be. */
export interface PictureOptions {
  readonly columns: number
  readonly order: Order
  readonly reversed: boolean
  /** Whether the paths of each pair are shown. */
  readonly paths: boolean
}

const idle: Load = { iops: 0, rate: 0, latency: 0, inflight: 0, errors: 0 }
// state, paths, IOPS, MB/s, latency, in flight, errors, each with the space before it
const cells: readonly number[] = [12, 6, 7, 8, 9, 7, 7]
/** What names have at least: on a narrow screen the last cells go. */
const NAME_WIDTH = 16
const titles = ['state', 'paths', 'IOPS', 'MB/s', 'latency', 'flight', 'errors'] as const
const titleOf: Readonly<Record<Order, string>> = {
  name: 'name',
  iops: 'IOPS',
  rate: 'MB/s',
  latency: 'latency',
  errors: 'errors',
}
const byName = new Intl.Collator('en', { numeric: true }).compare

/** The line above all: how many pairs there are, and what they do together. */
export function summaryLine({ pairs }: Listing, loads: Loads, columns: number, now: Date): string {
  const all = pairs.map(({ name }) => loads.get(name) ?? idle)
  const states = Map.groupBy(pairs, ({ state }) => state)
  const odd = [...states].filter(([state]) => state !== 'active').map(([state, { length }]) => `${length} ${state}`)
  const sum = (field: 'iops' | 'rate'): number => all.reduce((amount, load) => amount + load[field], 0)
  const count = pairs.length === 1 ? '1 pair' : `${pairs.length} pairs`
  const facts = [count, ...odd, `${formatCount(sum('iops'))} IOPS`, `${formatRate(sum('rate'))} MB/s`]
  const left = `blockbraid  ${facts.join(', ')}`
  const time = now.toTimeString().slice(0, 8)
  return shorten(left, columns - 10).padEnd(columns - time.length) + time
}

/** The titles; the one that pairs are sorted by is marked. */
export function titleLine({ columns, order, reversed }: PictureOptions): string {
  const mark = (title: string): string => (title === titleOf[order] ? `${reversed ? '^' : '>'}${title}` : title)
  return row(mark('name'), titles.map(mark), columns)
}

/** The lines of all pairs, sorted. */
export function pairLines(listing: Listing, loads: Loads, options: PictureOptions): string[] {
  const { columns, paths } = options
  const width = nameWidth(columns)
  const pairs = sorted(listing.pairs, loads, options)
  const names = shortenAlike(
    pairs.map(({ name }) => printable(name)),
    width,
  )
  return pairs.flatMap((pair, index) => {
    const up = pair.paths.filter(({ state }) => state === 'up').length
    const line = loadRow(names[index]!, stateOf(pair), `${up}/${pair.paths.length}`, loads.get(pair.name), columns)
    return paths ? [line, ...pathLines(pair, loads, columns)] : [line]
  })
}

/** That I/O waits for its rates is what an operator looks for where all is well. */
function stateOf({ state, throttled }: PairListing): string {
  if (state === 'stalled') return 'STALLED'
  return state === 'active' && throttled !== undefined ? 'limited' : state
}

function pathLines(pair: PairListing, loads: Loads, columns: number): string[] {
  const width = nameWidth(columns)
  const ids = shortenAlike(
    pair.paths.map(({ id }) => printable(id)),
    width - 3,
  )
  return pair.paths.flatMap(({ id, state, reason }, index) => {
    const last = index === pair.paths.length - 1
    const line = loadRow(`${last ? '`- ' : '|- '}${ids[index]}`, state, '', loads.get(loadKey(pair.name, id)), columns)
    return reason === '' ? [line] : [line, shorten(`${last ? '   ' : '|  '}  ${printable(reason)}`, columns)]
  })
}

function sorted(pairs: readonly PairListing[], loads: Loads, { order, reversed }: PictureOptions): PairListing[] {
  const amount = ({ name }: PairListing): number => (order === 'name' ? 0 : (loads.get(name) ?? idle)[order])
  const compare = (a: PairListing, b: PairListing): number => amount(b) - amount(a) || byName(a.name, b.name)
  return [...pairs].sort(reversed ? (a, b) => compare(b, a) : compare)
}

function loadRow(name: string, state: string, paths: string, load: Load = idle, columns: number): string {
  const { iops, rate, latency, inflight, errors } = load
  const amounts = [formatCount(iops), formatRate(rate), formatMicroseconds(latency), formatCount(inflight)]
  return row(name, [state, paths, ...amounts, formatCount(errors)], columns)
}

function cellsIn(columns: number): number[] {
  const shown = [...cells]
  while (shown.length > 1 && columns - total(shown) < NAME_WIDTH) shown.pop()
  return shown
}

function nameWidth(columns: number): number {
  return Math.max(NAME_WIDTH, columns - total(cellsIn(columns)))
}

function total(widths: readonly number[]): number {
  return widths.reduce((all, width) => all + width, 0)
}

function row(name: string, texts: readonly string[], columns: number): string {
  const rest = cellsIn(columns).map((width, index) => {
    const cell = shorten(texts[index]!, width - 1)
    return index === 0 ? `  ${cell.padEnd(width - 2)}` : cell.padStart(width)
  })
  return `${name.padEnd(nameWidth(columns))}${rest.join('')}`
}
