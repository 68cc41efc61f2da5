import { BlockError, messageOf } from '../errors.ts'
import type { ByteRun, Debt, Ledger } from '../ledger.ts'
import type { Path } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'

/** What this process has on record under one token. */
interface Entry {
  /** Paths that have the token: two devices of one volume may each have one to the same logical unit. */
  paths: number
  /** The last write to the ledger; those of one token are made in their order. */
  last: Promise<unknown>
}

const ledgers = new WeakMap<Ledger, Map<string, Entry>>()

function entryOf(ledger: Ledger, token: string): Entry {
  const entries = ledgers.get(ledger) ?? new Map<string, Entry>()
  ledgers.set(ledger, entries)
  const entry = entries.get(token) ?? { paths: 0, last: Promise.resolve() }
  entries.set(token, entry)
  return entry
}

function inOrder(entry: Entry, work: () => Promise<void> | void): Promise<void> {
  const turn = entry.last.then(work)
  entry.last = turn.catch(() => {})
  return turn
}

/** What a ledger keeps of one path: from before its first change until its fence. */
export class PathRecord {
  readonly #ledger: Ledger | undefined
  readonly #volume: VolumeId
  #debt: Debt | undefined

  constructor(ledger: Ledger | undefined, volume: VolumeId) {
    this.#ledger = ledger
    this.#volume = volume
  }

  /** Resolves once it is on record that changes may go through `path`. Rejects where it cannot be recorded. */
  async open({ id, fenceToken: token }: Path): Promise<void> {
    const ledger = this.#ledger
    if (ledger === undefined || token === undefined) return
    const debt = { volume: this.#volume, token, path: id }
    this.#debt = debt
    const entry = entryOf(ledger, token)
    entry.paths++
    await inOrder(entry, () => ledger.put(debt)).catch((error: unknown) => {
      const text = `that it may have changes in flight cannot be recorded: ${messageOf(error)}`
      throw new BlockError('CONNECT_FAILED', text, { cause: error })
    })
  }

  /** The path has failed, and no more than these ranges are in doubt. */
  leave(ranges: readonly ByteRun[]): void {
    const before = this.#debt
    if (before === undefined || JSON.stringify(before.ranges) === JSON.stringify(ranges)) return
    const debt = { ...before, ranges }
    this.#debt = debt
    const ledger = this.#ledger as Ledger
    const entry = entryOf(ledger, debt.token)
    // Where that fails, or another path has the token, more is in doubt for the next process than needs be.
    inOrder(entry, () => (entry.paths === 1 ? ledger.put(debt) : undefined)).catch(() => {})
  }

  /** It is proven that nothing can come any more; `unflushed`: not all that came is known to be durable. */
  async close(unflushed: boolean): Promise<void> {
    const debt = this.#debt
    if (debt === undefined) return
    this.#debt = undefined
    const ledger = this.#ledger as Ledger
    const entry = entryOf(ledger, debt.token)
    entry.paths--
    // Where that fails, the next process proves it once more.
    await inOrder(entry, () => {
      if (entry.paths > 0) return
      return unflushed ? ledger.put({ ...debt, ranges: [] }) : ledger.drop(debt.token)
    }).catch(() => {})
  }
}
