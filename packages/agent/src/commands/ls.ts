import { setTimeout as sleep } from 'node:timers/promises'
import { formatListing, ratesBetween } from '../format/listing.ts'
import { formatShort } from '../format/short.ts'
import type { Listing, PairListing } from '../snapshot/listing.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask, notUp } from './ask.ts'

/** Between the two looks of `ls` that IOPS are made of, milliseconds. */
const RATE_INTERVAL = 250

/** Options of `blockbraid ls`. */
export interface ListOptions extends RemoteOptions {
  short?: boolean
}

/** `blockbraid ls [PAIR...]` */
export async function ls(terminal: Terminal, options: ListOptions, names: readonly string[] = []): Promise<void> {
  const listing = onlyNamed(await ask(terminal, options, { op: 'ls' }), names)
  if (options.json) return print(terminal, true, listing, () => [])
  if (options.short) return print(terminal, false, listing, (value) => formatShort(value, terminal.columns))
  const started = performance.now()
  await sleep(RATE_INTERVAL, undefined, { signal: terminal.interrupted })
  const later = onlyNamed(await ask(terminal, options, { op: 'ls' }), names)
  const rates = ratesBetween(listing, later, (performance.now() - started) / 1000)
  print(terminal, false, later, (value) => formatListing(value, rates, terminal.columns))
}

/** The pairs of these names or nodes; with none, all. */
function onlyNamed(listing: Listing, names: readonly string[]): Listing {
  if (names.length === 0) return listing
  const isMeant = ({ name, node }: PairListing, meant: string): boolean => name === meant || node === meant
  const missing = names.find((name) => !listing.pairs.some((pair) => isMeant(pair, name)))
  if (missing !== undefined) throw notUp(missing, listing)
  return { ...listing, pairs: listing.pairs.filter((pair) => names.some((name) => isMeant(pair, name))) }
}
