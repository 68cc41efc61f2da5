import type { HostAgent } from '@blockbraid/core'
import type { PairFailure } from '../pairs/keeping.ts'
import { dateOf } from './date.ts'

/** What `ls --json` prints of something that should be there and is not. */
export interface MissingListing {
  /** A target, a portal of one, a volume, a pair, for people. */
  readonly what: string
  /** Why, for people. */
  readonly why: string
  /** ISO date of when it was missed first. */
  readonly since: string
}

/**
 * What an agent looks for, and pairs that it makes again and again; nothing where all is there. `now` dates both, and
 * `wall` is the same moment as the time of day in milliseconds.
 */
export function listMissing(
  sought: HostAgent['missing'],
  failures: readonly PairFailure[],
  now: number,
  wall: number,
  hide: (text: string) => string,
): { readonly missing?: readonly MissingListing[] } {
  const missing: MissingListing[] = [
    ...sought.map(({ target, place, text, since }) => ({
      what: target === '' ? place : `target ${target}${place === '' ? '' : `: ${place}`}`,
      why: hide(text),
      since: dateOf(since, now, wall),
    })),
    ...failures.map(({ name, error, since }) => ({
      what: `pair ${name}`,
      why: hide(error.message),
      since: dateOf(since, now, wall),
    })),
  ]
  return missing.length === 0 ? {} : { missing }
}
