import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlockError } from '@blockbraid/core'
import { callControl } from '../control/client.ts'
import { defaultControlPath, refuseForeign } from '../control/path.ts'
import type { Request } from '../control/protocol.ts'
import type { ProveResult } from '../control/prove.ts'
import { formatListing, ratesBetween } from '../format/listing.ts'
import { formatShort } from '../format/short.ts'
import { formatStats } from '../format/stats.ts'
import type { RescanResult } from '../running/rescan.ts'
import type { Listing, PairListing } from '../snapshot/listing.ts'
import type { Stats } from '../snapshot/stats.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import { formatSize } from '../text/amounts.ts'

/** Options of every command that talks to a running agent. */
export interface RemoteOptions {
  control?: string
  json?: boolean
}

/** Between the two looks of `ls` that IOPS are made of, milliseconds. */
const RATE_INTERVAL = 250

/** Asks the agent that the options name. */
export async function ask<Result>(
  terminal: Terminal,
  options: RemoteOptions,
  request: Request,
  limit: { timeout?: number } = {},
): Promise<Result> {
  const path =
    options.control === undefined ? defaultControlPath(terminal.env) : resolve(terminal.folder, options.control)
  await refuseForeign(path)
  return callControl(path, request, { ...limit, signal: terminal.interrupted }) as Promise<Result>
}

/** Options of `blockbraid ls`. */
export interface ListOptions extends RemoteOptions {
  short?: boolean
}

/** `blockbraid ls [PAIR...]` */
export async function ls(terminal: Terminal, options: ListOptions, names: readonly string[] = []): Promise<void> {
  const listing = onlyNamed(await ask<Listing>(terminal, options, { op: 'ls' }), names)
  if (options.json) return print(terminal, true, listing, () => [])
  if (options.short) return print(terminal, false, listing, (value) => formatShort(value, terminal.columns))
  const started = performance.now()
  await sleep(RATE_INTERVAL, undefined, { signal: terminal.interrupted })
  const later = onlyNamed(await ask<Listing>(terminal, options, { op: 'ls' }), names)
  const rates = ratesBetween(listing, later, (performance.now() - started) / 1000)
  print(terminal, false, later, (value) => formatListing(value, rates, terminal.columns))
}

/** The pairs of these names or nodes; with none, all. */
function onlyNamed(listing: Listing, names: readonly string[]): Listing {
  if (names.length === 0) return listing
  const isMeant = ({ name, node }: PairListing, meant: string): boolean => name === meant || node === meant
  const missing = names.find((name) => !listing.pairs.some((pair) => isMeant(pair, name)))
  if (missing !== undefined) throw noPair(missing, listing)
  return { ...listing, pairs: listing.pairs.filter((pair) => names.some((name) => isMeant(pair, name))) }
}

/** The error for the name of a pair that is not up. */
export function noPair(name: string, { pairs }: Listing): BlockError {
  const names = pairs.map((pair) => pair.name).join(', ')
  return new BlockError('NOT_FOUND', `there is no pair ${name}; ${names === '' ? 'no pair is up' : `up are ${names}`}`)
}

/** `blockbraid stats` */
export async function stats(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const counted = await ask<Stats>(terminal, options, { op: 'stats' })
  print(terminal, options.json, counted, (value) => formatStats(value, terminal.columns))
}

/** `blockbraid path fail PAIR PATH` */
export async function failPath(terminal: Terminal, options: RemoteOptions, pair: string, part: string): Promise<void> {
  const { path } = await ask<{ path: string }>(terminal, options, { op: 'path-fail', pair, path: part })
  print(terminal, options.json, { pair, path, failed: true }, () => [
    `${pair}: ${path} takes no I/O until it is restored`,
  ])
}

/** `blockbraid path restore PAIR PATH` */
export async function restorePath(
  terminal: Terminal,
  options: RemoteOptions,
  pair: string,
  part: string,
): Promise<void> {
  const { path } = await ask<{ path: string }>(terminal, options, { op: 'path-restore', pair, path: part })
  print(terminal, options.json, { pair, path, restored: true }, () => [`${pair}: ${path} connects again`])
}

/** `blockbraid pair NAME`: makes a pair again that was taken down, lost, or could not be made. */
export async function pairAgain(terminal: Terminal, options: RemoteOptions, pair: string): Promise<void> {
  const { node } = await ask<{ node: string }>(terminal, options, { op: 'pair', pair })
  print(terminal, options.json, { pair, node }, () => [`${pair} is up: ${node}`])
}

/** `blockbraid rescan` */
export async function rescan(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const result = await ask<RescanResult>(terminal, options, { op: 'rescan' })
  print(terminal, options.json, result, ({ added, removed, paired, resized = [], notes = [] }) => {
    const lines = [
      ...added.map((path) => `new path: ${path}`),
      ...removed.map((path) => `gone path: ${path}`),
      ...paired.map((pair) => `new pair: ${pair}`),
      ...resized.map(({ name, before, size }) => `${name}: ${formatSize(before)} -> ${formatSize(size)}`),
    ]
    return [...(lines.length > 0 ? lines : ['nothing changed']), ...notes]
  })
  if (result.errors.length > 0) throw new Error(result.errors.join('; '))
}

/** `blockbraid prove PAIR|VOLUME|PATH...` */
export async function prove(
  terminal: Terminal,
  options: RemoteOptions & { write?: string },
  names: readonly string[],
): Promise<void> {
  const { write } = options
  const request = { op: 'prove', devices: names.join('\n'), ...(write === undefined ? {} : { write }) } as const
  const result = await ask<ProveResult>(terminal, options, request)
  if (result.result === 'different' && !options.json) throw new Error(result.text)
  print(terminal, options.json, result, ({ text, paths }) => [
    ...paths,
    result.result === 'equal' ? `${text}; --write OFFSET does` : text,
  ])
}
