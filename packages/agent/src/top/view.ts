import type { Listing } from '../snapshot/listing.ts'
import { shorten } from '../text/table.ts'
import type { Key } from './keys.ts'
import type { Loads, Order } from './picture.ts'
import { pairLines, summaryLine, titleLine } from './picture.ts'

/** What `top` shows of what it knows, and what keys have changed of that. */
export interface View {
  /** Does what a key asks for; others than those of the view are left alone. */
  press(key: Key): void
  /** The lines of a screen of that size. */
  draw(listing: Listing, loads: Loads, size: { columns: number; rows: number }, now: Date): string[]
}

const orders: ReadonlySet<string> = new Set<Order>(['name', 'iops', 'rate', 'latency', 'errors'])
/** Lines that are no pairs: the summary, the titles, and the keys. */
const FRAME = 3

/** Makes a view: sorted by name, from the first pair on, with paths where all of them fit the screen. */
export function createView(): View {
  let order: Order = 'name'
  let reversed = false
  let showsPaths: boolean | undefined
  let first = 0
  let page = 1
  let count = 0
  let drawsPaths = false

  const scroll = (to: number): void => {
    first = Math.max(0, Math.min(to, count - page))
  }
  return {
    press(key) {
      if (orders.has(key)) {
        order = key as Order
        reversed = false
        first = 0
      } else if (key === 'reverse') reversed = !reversed
      else if (key === 'paths') showsPaths = !drawsPaths
      else if (key === 'up') scroll(first - 1)
      else if (key === 'down') scroll(first + 1)
      else if (key === 'pageUp') scroll(first - page)
      else if (key === 'pageDown') scroll(first + page)
      else if (key === 'first') scroll(0)
      else if (key === 'last') scroll(count)
    },
    draw(listing, loads, { columns, rows }, now) {
      page = Math.max(1, rows - FRAME)
      const options = { columns, order, reversed }
      let lines = pairLines(listing, loads, { ...options, paths: showsPaths ?? true })
      drawsPaths = showsPaths ?? lines.length <= page
      if (showsPaths === undefined && !drawsPaths) lines = pairLines(listing, loads, { ...options, paths: false })
      count = lines.length
      scroll(first)
      const shown = lines.slice(first, first + page)
      const place = count > page ? `${first + 1}-${first + shown.length} of ${count} lines` : ''
      const keys = 'j k PgUp PgDn  sort: n i m l e  r reverse  p paths  q quit'
      return [
        summaryLine(listing, loads, columns, now),
        titleLine({ ...options, paths: drawsPaths }),
        ...shown,
        ...Array.from({ length: page - shown.length }, () => ''),
        `${keys.padEnd(columns - place.length - 1).slice(0, Math.max(0, columns - place.length - 1))} ${place}`,
      ]
        .slice(0, rows)
        .map((line) => shorten(line, columns))
    },
  }
}
