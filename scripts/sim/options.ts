import { parseArgs } from 'node:util'
import type { Bug } from './bugs/bug.ts'

/** What the command is to do. */
export type Options = { readonly kind: 'help' } | Play | FindAll

/** Play schedules. */
export interface Play {
  readonly kind: 'play'
  /** First seed; undefined: a new one. */
  readonly from: number | undefined
  readonly jobs: number
  /** Schedules at most. */
  readonly count: number
  /** Milliseconds at most. */
  readonly time: number
  readonly bug: Bug | undefined
}

/** Find each of the seeded bugs. */
export interface FindAll {
  readonly kind: 'bugs'
  readonly from: number
  readonly jobs: number
}

const options = {
  minutes: { type: 'string' },
  schedules: { type: 'string' },
  from: { type: 'string' },
  jobs: { type: 'string' },
  bug: { type: 'string' },
  bugs: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

type Name = keyof typeof options
type Given = Partial<Record<Name, string>>

const SCHEDULES = 10_000
const MINUTE = 60_000
// Seeds are whole numbers below 2 ** 53, and as many as anybody plays come after the first.
const LAST_FROM = 2 ** 52
const MOST_JOBS = 256

/** Reads the arguments; throws a TypeError that names the one that is wrong, and what would be right. */
export function readOptions(args: readonly string[], bugs: readonly Bug[]): Options {
  const given = read(args)
  if (given.help !== undefined) return { kind: 'help' }
  const from = whole(given, 'from', 0, LAST_FROM)
  const jobs = whole(given, 'jobs', 1, MOST_JOBS) ?? 2
  if (given.bugs !== undefined) {
    for (const name of ['bug', 'minutes', 'schedules'] as const) {
      if (given[name] === undefined) continue
      throw new TypeError(`--${name} is ${given[name]}; beside --bugs, which finds each bug, it must be left out`)
    }
    return { kind: 'bugs', from: from ?? 1, jobs }
  }
  const minutes = minutesOf(given)
  const count =
    whole(given, 'schedules', 1, LAST_FROM) ?? (minutes === undefined ? SCHEDULES : Number.POSITIVE_INFINITY)
  const time = minutes === undefined ? Number.POSITIVE_INFINITY : minutes * MINUTE
  return { kind: 'play', from, jobs, count, time, bug: bugOf(given, bugs) }
}

function read(args: readonly string[]): Given {
  const given: Given = {}
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    const known = Object.keys(options).map((name) => `--${name}`)
    if (token.kind === 'positional') {
      throw new TypeError(`${token.value} is no option; the options are ${known.join(', ')}`)
    }
    const { name, rawName, value } = token
    if (!Object.hasOwn(options, name)) {
      throw new TypeError(`${rawName} is not a known option; the options are ${known.join(', ')}`)
    }
    const takes = options[name as Name].type === 'string'
    if (!takes && value !== undefined) throw new TypeError(`${rawName} is ${value}; it must be given without a value`)
    if (takes && value === undefined) throw new TypeError(`${rawName} has no value; one must follow it`)
    given[name as Name] = value ?? ''
  }
  return given
}

function whole(given: Given, name: 'from' | 'jobs' | 'schedules', least: number, most: number): number | undefined {
  const text = given[name]
  if (text === undefined) return undefined
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new TypeError(`--${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} to ${most}`)
}

// As long as a timer can take.
const MOST_MINUTES = 30_000

function minutesOf({ minutes: text }: Given): number | undefined {
  if (text === undefined) return undefined
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value > 0 && value <= MOST_MINUTES) return value
  throw new TypeError(`--minutes is ${JSON.stringify(text)}; it must be a number above 0, ${MOST_MINUTES} at most`)
}

function bugOf({ bug: name }: Given, bugs: readonly Bug[]): Bug | undefined {
  if (name === undefined) return undefined
  const found = bugs.find((bug) => bug.name === name)
  if (found !== undefined) return found
  throw new TypeError(`--bug is ${JSON.stringify(name)}; it must be one of ${bugs.map((bug) => bug.name).join(', ')}`)
}
