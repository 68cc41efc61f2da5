import type { PathStatus } from '@blockbraid/core'
import { findPair } from '../running/find.ts'
import type { Running } from '../running/running.ts'
import { pathOf } from './path-ids.ts'
import type { Arguments } from './protocol.ts'

/** What was ended of a path that was up. */
export type EndedByHand = 'probation' | 'demoted' | 'failback'

/** A path that is let in again. */
export interface RestoredPath {
  /** Its id. */
  readonly path: string
  /** Its state before, as in {@link PathListing.state}. */
  readonly was: string
  /** What kept I/O from it though it was up, and does so no more; left out where nothing did. */
  readonly ended?: readonly EndedByHand[]
}

/** Lets a path in again. Throws NOT_FOUND where there is none of that name. */
export function restorePath(running: Running, request: Arguments<'path-restore'>): RestoredPath {
  const pair = findPair(running, request.pair)
  const id = pathOf(pair, request.path)
  const status = (): PathStatus => pair.paths.find((path) => path.id === id)!
  const before = status()
  pair.restorePath(id)
  const ended: EndedByHand[] = []
  if (before.state === 'up' && before.health !== undefined) ended.push(before.health)
  if (before.standsBack === true && status().standsBack !== true) ended.push('failback')
  return { path: id, was: before.state, ...(ended.length > 0 && { ended }) }
}
