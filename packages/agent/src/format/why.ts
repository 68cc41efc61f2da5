import type { PairListing, PathListing } from '../snapshot/listing.ts'
import type { FailoverLineListing, FailoverListing, WhyListing } from '../snapshot/why.ts'
import { formatAge } from '../text/amounts.ts'
import { wrap } from '../text/facts.ts'
import { printable, shorten } from '../text/table.ts'
import { summarizeGuards } from './guards.ts'
import { oddities } from './oddities.ts'
import { countPaths } from './short.ts'
import { many, timeOf, wordsOf } from './why-line.ts'

// How many failovers are printed.
const SHOWN = 3
// Of the name of a path, characters.
const LONGEST_NAME = 36

/** What is wrong with a pair now, and its last failovers as time lines, the newest first, `width` characters wide. */
export function formatWhy(why: WhyListing, width: number): string[] {
  const name = namesOf(why.pair)
  const shown = why.failovers.slice(-SHOWN).toReversed()
  const earlier = why.failovers.length - shown.length
  const lines = [
    ...describeNow(why, name, width),
    ...shown.flatMap((failover) => ['', ...formatFailover(failover, name, width, Date.parse(why.now))]),
    ...(earlier > 0 ? ['', `${many(earlier, 'earlier failover')}: --json has all that are kept`] : []),
  ]
  return lines.map((line) => shorten(printable(line), width).trimEnd())
}

type Names = (id: string) => string

/** Paths by their addresses, where those tell them apart. */
function namesOf({ paths }: PairListing): Names {
  const names = new Map<string, string>()
  for (const { id, address } of paths) {
    const alone = paths.filter((other) => other.address === address).length === 1
    names.set(id, shorten(alone ? address : id, LONGEST_NAME))
  }
  return (id) => names.get(id) ?? shorten(id, LONGEST_NAME)
}

function describeNow({ pair, openedAt, now, throttled, failovers }: WhyListing, name: Names, width: number): string[] {
  const at = Date.parse(now)
  const bad = pair.paths.filter(isBad)
  const notes = pair.paths.filter((path) => !isBad(path) && path.reason !== '')
  const state = pair.state === 'stalled' ? 'STALLED' : pair.state
  const waits = [
    ...(pair.parked > 0
      ? [`${many(pair.parked, 'I/O')} ${pair.parked === 1 ? 'waits' : 'wait'} for a path or a fence`]
      : []),
    ...(throttled === undefined ? [] : [`${many(throttled, 'I/O')} held back by the rates of the pair`]),
    ...oddities(pair),
  ]
  return [
    ...wrap(`${pair.name} is ${state}, ${countPaths(pair.paths)} up, at ${now.slice(11, 19)}Z`, width),
    ...bad.flatMap((path) => item('BAD', describeBad(path, beginOf(path.id, failovers), name, at), width)),
    ...notes.flatMap(({ id, reason }) => item('note', `${name(id)}: ${reason}`, width)),
    ...(notes.length > 1 && notes.length === pair.paths.length ? item('', ALIKE, width) : []),
    ...waits.flatMap((text) => item('', text, width)),
    ...summarizeGuards(pair.guards ?? [], pair.name, width, at),
    ...(failovers.length === 0
      ? wrap(`no path has failed since ${dayOf(openedAt)}Z (${formatAge(openedAt, at)}), when it was opened`, width)
      : []),
  ]
}

const ALIKE = 'every path has its note: what they have alike lies in the storage, not in a path'

function isBad({ state, health }: PathListing): boolean {
  return state !== 'up' || health !== undefined
}

/** What a path has failed with, where it has not been up since. */
function beginOf(id: string, failovers: readonly FailoverListing[]): FailoverLineListing | undefined {
  const lines = failovers.flatMap((failover) => failover.lines).filter(({ path }) => path === id)
  const up = lines.findLastIndex(({ kind }) => kind === 'up')
  return lines.slice(up + 1).find(({ kind }) => BEGINNINGS.has(kind))
}

const BEGINNINGS: ReadonlySet<string> = new Set(['failed', 'out', 'unreachable'])

/** What is waited for, by the state of a path. */
const waitsFor: Readonly<Record<string, string>> = {
  connecting: 'it is being connected',
  fencing: 'waits for its fence',
  waiting: 'it is tried again by itself',
  disabled: '"blockbraid path restore" lets it in again',
}

function describeBad(
  { id, state, since, reason }: PathListing,
  begin: FailoverLineListing | undefined,
  name: Names,
  now: number,
): string {
  const from = state === 'up' ? since : (begin?.at ?? since)
  const first = state === 'up' ? '' : (begin?.text ?? '')
  const news = reason.startsWith(`${first}; `) ? reason.slice(first.length + 2) : reason
  const later = first === '' || reason === first ? '' : `now: ${news}`
  const next = waitsFor[state] ?? ''
  const words = [first || reason || state, later, reason.includes(next) ? '' : next].filter((text) => text !== '')
  const how = state === 'up' ? 'up' : 'down'
  return `${name(id)}, ${how} since ${timeOf(from)} (${formatAge(from, now)}): ${words.join('; ')}`
}

function item(mark: string, text: string, width: number): string[] {
  return wrap(text, width - 7).map((line, index) => `  ${(index === 0 ? mark : '').padEnd(5)}${line}`)
}

function formatFailover(failover: FailoverListing, name: Names, width: number, now: number): string[] {
  const { began, ended, open, longestWaitMs, expired, leftOut, lines } = failover
  const over =
    ended === null
      ? `not over: ${open.map(name).join(', ') || 'no path is usable'}`
      : `over after ${span(began, ended)}`
  const io = ended === null ? 'no I/O that has ended' : 'no I/O'
  const wait = longestWaitMs > 0 ? `; ${io} waited longer than ${seconds(longestWaitMs)}` : ''
  const lost = expired > 0 ? `; ${many(expired, 'I/O')} ended with EIO` : ''
  const first = lines.length - LAST_LINES
  return [
    ...wrap(`${dayOf(began)}Z, ${formatAge(began, now)} ago, ${over}${wait}${lost}`, width),
    ...lines.flatMap((line, index) => [
      ...(leftOut > 0 && index === first ? [`  ... ${many(leftOut, 'line')} left out`] : []),
      ...formatLine(timeOf(line.at), span(began, line.at), wordsOf(line, name(line.path)), width),
    ]),
  ]
}

// So many of the lines of a long failover are the last ones.
const LAST_LINES = 48

function formatLine(time: string, after: string, words: string, width: number): string[] {
  const head = `  ${time} ${`+${after}`.padStart(10)}  `
  return wrap(words, width - head.length).map((line, index) => `${index === 0 ? head : ' '.repeat(head.length)}${line}`)
}

function span(from: string, to: string): string {
  return seconds(Date.parse(to) - Date.parse(from))
}

function seconds(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`
  return milliseconds < 100_000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${Math.round(milliseconds / 1000)} s`
}

function dayOf(date: string): string {
  return `${date.slice(0, 10)} ${timeOf(date)}`
}
