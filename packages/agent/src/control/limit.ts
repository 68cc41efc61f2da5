import type { BlockDevicePair, Rates } from '@blockbraid/core'
import { findPair } from '../running/find.ts'
import type { Running } from '../running/running.ts'
import type { Arguments } from './protocol.ts'

/** What a pair is held to. */
export interface LimitResult {
  /** `burst` is in milliseconds; left out: nothing. */
  readonly rates?: Rates
  /** I/Os that wait since the rates allow no more now. */
  readonly throttled: number
}

const FIELDS: ReadonlySet<string> = new Set<keyof Rates>(['iops', 'bytesPerSecond', 'burst'])

/** Holds a pair to other rates, where some are named. Throws a TypeError where they are wrong. */
export function limitPair(running: Running, { pair: name, rates }: Arguments<'limit'>): LimitResult {
  const pair = findPair(running, name)
  if (rates !== undefined) pair.setRates(changed(pair, parseRates(rates)))
  return { ...(pair.rates !== undefined && { rates: pair.rates }), throttled: pair.throttled }
}

/** The rates of a pair with what is named exchanged. */
function changed({ rates }: BlockDevicePair, changes: Record<string, number | null>): Rates {
  const all = Object.entries({ ...rates, ...changes })
  return Object.fromEntries(all.filter(([, value]) => value !== null))
}

function parseRates(text: string): Record<string, number | null> {
  let rates: unknown
  try {
    rates = JSON.parse(text)
  } catch {
    rates = undefined
  }
  if (typeof rates !== 'object' || rates === null || Array.isArray(rates)) {
    throw new TypeError('rates must be a JSON object')
  }
  const strange = Object.keys(rates).find((field) => !FIELDS.has(field))
  if (strange !== undefined) {
    throw new TypeError(`rates has "${strange.slice(0, 40)}"; known are ${[...FIELDS].join(', ')}`)
  }
  return { ...rates }
}
