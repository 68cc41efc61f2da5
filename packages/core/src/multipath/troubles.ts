import type { ErrorCode } from '../errors.ts'
import { BlockError } from '../errors.ts'
import type { PathTrouble } from '../target.ts'
import { KindCounts } from './kind-counts.ts'

// How long the last trouble is told of a path that is up, µs.
const RECENT = 60_000_000

/** Kind of a failure for want of an answer. */
export const NO_ANSWER = 'no answer in time'

const kinds: Partial<Record<ErrorCode, string>> = {
  CONNECT_FAILED: 'connection lost',
  TIMED_OUT: NO_ANSWER,
  PROTOCOL: 'protocol broken',
  IDENTITY_CHANGED: 'another volume',
  MISMATCH: 'another volume',
}

/** By what kind it is counted that a path has failed; undefined where its commands have told already. */
export function kindOfFailure(error: unknown): string | undefined {
  return BlockError.is(error) ? kinds[error.code] : undefined
}

/** What went wrong on a path since it was added: counted by kind, and the last of it in words. */
export class TroubleCounts {
  readonly #kinds = new KindCounts()
  #last = ''
  #at = 0

  add({ kind, text, count }: Pick<PathTrouble, 'kind' | 'text' | 'count'>, now: number): void {
    this.count(kind, count)
    this.#last = text
    this.#at = now
  }

  count(kind: string, count = 1): void {
    this.#kinds.count(kind, count)
  }

  /** The last trouble, where it was within the last minute; else an empty text. */
  recent(now: number): string {
    return now - this.#at <= RECENT ? this.#last : ''
  }

  /** How many by kind; undefined where there were none. */
  get counts(): Readonly<Record<string, number>> | undefined {
    return this.#kinds.counts
  }
}
