import type { ControlledAgent } from '../running/running.ts'
import type { Listing, MissingListing } from './listing.ts'
import { dateOf } from './listing.ts'

/** What an agent looks for, or makes again and again; nothing where all is there. */
export function listMissing(
  { agent, host, failures }: ControlledAgent,
  wall: number,
  hide: (text: string) => string,
): Pick<Listing, 'missing'> {
  const now = host.clock.now()
  const missing: MissingListing[] = [
    ...agent.missing.map(({ target, place, text, since }) => ({
      what: target === '' ? place : `target ${target}${place === '' ? '' : `: ${place}`}`,
      why: hide(text),
      since: dateOf(since, now, wall),
    })),
    ...failures().map(({ name, error, since }) => ({
      what: `pair ${name}`,
      why: hide(error.message),
      since: dateOf(since, now, wall),
    })),
  ]
  return missing.length === 0 ? {} : { missing }
}
