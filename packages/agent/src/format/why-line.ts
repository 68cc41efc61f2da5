import type { FailoverLineListing } from '../snapshot/why.ts'
import { formatCount } from '../text/amounts.ts'

type Words = (line: FailoverLineListing, path: string) => string

/** A line of a failover in words; `path` is how its path is called. */
export function wordsOf(line: FailoverLineListing, path: string): string {
  // An agent of a later version may tell of more.
  const words =
    texts[line.kind] ?? (({ kind, text }) => `${[path, kind, text].filter((each) => each !== '').join(' ')}`)
  return words(line, path)
}

const texts: Readonly<Partial<Record<string, Words>>> = {
  failed: ({ text }, path) => `${path} FAILED: ${text}`,
  out: (_, path) => `${path} is taken out by hand`,
  unreachable: ({ text, count, until }, path) =>
    count === 1
      ? `${path} cannot be connected: ${text}`
      : `${path} cannot be connected, ${formatCount(count)} tries, the last at ${timeOf(until)}: ${text}`,
  moved: ({ count }, path) => `${many(count, 'I/O')} of ${path} ${go(count)} to other paths at once`,
  held: ({ count }, path) =>
    `${many(count, 'write')} in flight on ${path} ${count === 1 ? 'waits' : 'wait'} for its fence`,
  unfenced: ({ text }, path) => `${path}: ${text}`,
  fenced: ({ text }, path) => `${path} is fenced${text.replace(/^fenced/, '')}: nothing of it can land any more`,
  freed: ({ count }) => `${many(count, 'write')} that waited for that ${go(count)} to other paths`,
  access: ({ text }, path) => `${path} changes from ${text}`,
  health: ({ text }, path) => `${path}: ${text}`,
  aside: ({ text }, path) => (text === '' ? `${path} takes I/O again` : `${path} stands back: ${text}`),
  routed: ({ count, text }) => `I/O goes through ${many(count, `${text}${text === '' ? '' : ' '}path`)}`,
  stalled: () => 'NO PATH IS USABLE: I/O waits',
  resumed: ({ count }) =>
    count === 0
      ? 'a path is usable again'
      : `a path is usable again: ${many(count, 'I/O')} that waited ${go(count)} on`,
  expired: (line) =>
    `${many(line.count, 'I/O')} waited too long${lastOf(line)}: ${line.count === 1 ? 'it ends' : 'they end'} with EIO`,
  up: (_, path) => `${path} is up again`,
  gone: (_, path) => `${path} is removed`,
}

function go(count: number): string {
  return count === 1 ? 'goes' : 'go'
}

// Where what is counted goes on for longer, its last one has a time of its own, milliseconds.
const LONG = 1000

function lastOf({ at, until }: FailoverLineListing): string {
  return Date.parse(until) - Date.parse(at) < LONG ? '' : `, the last at ${timeOf(until)}`
}

/** `1 write`, `12 writes`. */
export function many(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`
}

/** The time of day of an ISO date, to the millisecond. */
export function timeOf(date: string): string {
  return date.slice(11, 23)
}
