import { parseByteRate, parseDuration } from '../config/units.ts'
import type { LimitResult } from '../control/limit.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print, UsageError } from '../terminal/terminal.ts'
import { rateWords, waitingWords } from '../text/rates.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

interface Word {
  readonly field: string
  /** Undefined where the text is none. */
  readonly parse: (text: string) => number | undefined
  readonly example: string
}

const words: Readonly<Record<string, Word>> = {
  iops: { field: 'iops', parse: parseCount, example: '5000' },
  bytes: { field: 'bytesPerSecond', parse: (text) => parseByteRate(numeric(text)), example: '200MiB/s' },
  burst: { field: 'burst', parse: parseDuration, example: '500ms' },
}
const NONE = 'none'
const FORMS = 'iops=5000, bytes=200MiB/s, burst=500ms, or none'

/** `blockbraid limit PAIR [WHAT...]`: without words it shows what the pair is held to. */
export async function limit(
  terminal: Terminal,
  options: RemoteOptions,
  pair: string,
  asked: readonly string[],
): Promise<void> {
  const rates = asked.length === 0 ? {} : { rates: JSON.stringify(ratesOf(asked)) }
  const result = await ask(terminal, options, { op: 'limit', pair, ...rates })
  print(terminal, options.json, { pair, ...result }, () => [`${pair} ${describe(result)}`])
}

function describe({ rates, throttled }: LimitResult): string {
  return rates === undefined ? 'is held to no rates' : `is held to ${rateWords(rates)}${waitingWords(throttled)}`
}

function ratesOf(asked: readonly string[]): Record<string, number | null> {
  const rates: Record<string, number | null> = {}
  for (const word of asked) {
    if (word === NONE) Object.assign(rates, { iops: null, bytesPerSecond: null, burst: null })
    else Object.assign(rates, rateOf(word))
  }
  return rates
}

function rateOf(word: string): Record<string, number | null> {
  const [, name = '', text = ''] = /^([^=]*)=(.*)$/s.exec(word) ?? []
  if (!Object.hasOwn(words, name)) throw new UsageError(`"${word}" is no limit: it must be of ${FORMS}`)
  const { field, parse, example } = words[name]!
  const value = text === NONE ? null : parse(text)
  if (value === undefined) throw new UsageError(`${name} is "${text}"; it must be ${NONE}, or such as ${example}`)
  return { [field]: value }
}

function parseCount(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined
}

/** A number of bytes may go without a unit. */
function numeric(text: string): number | string {
  return parseCount(text) ?? text
}
