import { BlockError, messageOf } from '../errors.ts'
import type { ByteRun, Debt, Ledger } from '../ledger.ts'
import type { Path, PathInfo } from '../target.ts'

/** What a ledger keeps of one path: from before its first change until its fence. Writes are made in their order. */
export class PathRecord {
  readonly #ledger: Ledger | undefined
  readonly #info: PathInfo
  #debt: Debt | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(ledger: Ledger | undefined, info: PathInfo) {
    this.#ledger = ledger
    this.#info = info
  }

  /** Resolves once it is on record that changes may go through `path`. Rejects where it cannot be recorded. */
  async open({ fenceToken: token }: Path): Promise<void> {
    const ledger = this.#ledger
    if (ledger === undefined || token === undefined) return
    const { id, volume } = this.#info
    const debt = { volume, token, path: id }
    this.#debt = debt
    await this.#inOrder(() => ledger.put(debt)).catch((error: unknown) => {
      const text = `that it may have changes in flight cannot be recorded: ${messageOf(error)}`
      throw new BlockError('CONNECT_FAILED', text, { cause: error })
    })
  }

  /** The path has failed, and no more than these ranges are in doubt. */
  leave(ranges: readonly ByteRun[]): void {
    const debt = this.#debt
    if (debt === undefined || JSON.stringify(debt.ranges) === JSON.stringify(ranges)) return
    this.#debt = { ...debt, ranges }
    // Where that fails, more is in doubt for the next process than needs be.
    this.#inOrder(() => (this.#ledger as Ledger).put({ ...debt, ranges })).catch(() => {})
  }

  /** It is proven that nothing can come any more. */
  async close(): Promise<void> {
    const debt = this.#debt
    if (debt === undefined) return
    this.#debt = undefined
    // Where that fails, the next process proves it once more.
    await this.#inOrder(() => (this.#ledger as Ledger).drop(debt.token)).catch(() => {})
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }
}
