import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { callControl } from '../control/client.ts'
import { defaultControlPath, refuseForeign } from '../control/path.ts'
import type { Request } from '../control/protocol.ts'
import type { ProveResult } from '../control/prove.ts'
import type { Listing, Stats } from '../control/snapshot.ts'
import { formatSize } from '../format/amounts.ts'
import type { Rates } from '../format/listing.ts'
import { formatListing, ratesBetween } from '../format/listing.ts'
import { formatStats } from '../format/stats.ts'
import type { RescanResult } from '../run.ts'
import type { Terminal } from '../terminal.ts'
import { print } from '../terminal.ts'

/** Options of every command that talks to a running agent. */
export interface RemoteOptions {
  control?: string
  json?: boolean
}

/** Between the two looks of `ls` that IOPS are made of, milliseconds. */
const RATE_INTERVAL = 250
/** Between two pictures of `top`, milliseconds. */
const TOP_INTERVAL = 1000

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

/** `blockbraid ls` */
export async function ls(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const listing = await ask<Listing>(terminal, options, { op: 'ls' })
  if (options.json) return print(terminal, true, listing, () => [])
  const started = performance.now()
  await sleep(RATE_INTERVAL, undefined, { signal: terminal.interrupted })
  const later = await ask<Listing>(terminal, options, { op: 'ls' })
  const rates = ratesBetween(listing, later, (performance.now() - started) / 1000)
  print(terminal, false, later, (value) => formatListing(value, rates, terminal.columns))
}

/** `blockbraid stats` */
export async function stats(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const counted = await ask<Stats>(terminal, options, { op: 'stats' })
  print(terminal, options.json, counted, (value) => formatStats(value, terminal.columns))
}

/** `blockbraid top`: the tree of `ls` again and again, until it is interrupted. */
export async function top(terminal: Terminal, options: RemoteOptions): Promise<void> {
  let before = await ask<Listing>(terminal, options, { op: 'ls' })
  let started = performance.now()
  let rates: Rates = new Map()
  for (;;) {
    if (options.json) terminal.out(JSON.stringify(before))
    else {
      const clear = terminal.interactive ? '\x1b[H\x1b[2J' : ''
      terminal.out(clear + formatListing(before, rates, terminal.columns).join('\n'))
    }
    await sleep(TOP_INTERVAL, undefined, { signal: terminal.interrupted }).catch(() => undefined)
    if (terminal.interrupted.aborted) return
    const listing = await ask<Listing>(terminal, options, { op: 'ls' })
    const now = performance.now()
    rates = ratesBetween(before, listing, (now - started) / 1000)
    before = listing
    started = now
  }
}

/** `blockbraid policy PAIR NAME` */
export async function policy(terminal: Terminal, options: RemoteOptions, pair: string, name: string): Promise<void> {
  // A file is meant from here, not from the agent's folder.
  const use = /^\.{1,2}\//.test(name) ? resolve(terminal.folder, name) : name
  await ask(terminal, options, { op: 'policy', pair, use })
  print(terminal, options.json, { pair, policy: name }, () => [`${pair} now uses ${name}`])
}

/** `blockbraid path fail PAIR PATH` */
export async function failPath(terminal: Terminal, options: RemoteOptions, pair: string, path: string): Promise<void> {
  await ask(terminal, options, { op: 'path-fail', pair, path })
  print(terminal, options.json, { pair, path, failed: true }, () => [
    `${pair}: ${path} takes no I/O until it is restored`,
  ])
}

/** `blockbraid path restore PAIR PATH` */
export async function restorePath(
  terminal: Terminal,
  options: RemoteOptions,
  pair: string,
  path: string,
): Promise<void> {
  await ask(terminal, options, { op: 'path-restore', pair, path })
  print(terminal, options.json, { pair, path, restored: true }, () => [`${pair}: ${path} connects again`])
}

/** `blockbraid rescan` */
export async function rescan(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const result = await ask<RescanResult>(terminal, options, { op: 'rescan' })
  print(terminal, options.json, result, ({ added, removed, paired, resized = [] }) => {
    const lines = [
      ...added.map((path) => `new path: ${path}`),
      ...removed.map((path) => `gone path: ${path}`),
      ...paired.map((pair) => `new pair: ${pair}`),
      ...resized.map(({ name, before, size }) => `${name}: ${formatSize(before)} -> ${formatSize(size)}`),
    ]
    return lines.length > 0 ? lines : ['nothing changed']
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
