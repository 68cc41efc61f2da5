/** What a trimmed block holds: nobody knows (rule 6). */
export const ANYTHING = -1

/** A change of one block, as whoever asked for it knows it. */
export interface BlockChange {
  /** What it puts there, by a number; {@link ANYTHING} for a trim. */
  readonly value: number
  /** Whether it was answered with success. */
  acknowledged: boolean
  /** Number of the first lost cache that may have had it: a flush does not bring it back. Infinity where none was. */
  lostWith: number
}

/**
 * Which values one block may hold, by what its users were told. A change that was not acknowledged may land until a
 * later one is acknowledged; one that was acknowledged stands, unless a cache is lost before it is durable.
 */
export class BlockHistory {
  /** In the order of their submits, from the one that is known to be durable. */
  #changes: BlockChange[]
  /** The first of them that may stand there now. */
  #now = 0

  /** `value` stands there, durable. */
  constructor(value: number) {
    this.#changes = [{ value, acknowledged: true, lostWith: Number.POSITIVE_INFINITY }]
  }

  /** The last change that was acknowledged: what a flush that is submitted now makes durable. */
  get mark(): BlockChange | undefined {
    return this.#changes.findLast(({ acknowledged }) => acknowledged)
  }

  /** A change is about to be submitted; it may land at any time from now on. */
  submit(value: number): BlockChange {
    const change = { value, acknowledged: false, lostWith: Number.POSITIVE_INFINITY }
    this.#changes.push(change)
    return change
  }

  /** It has ended with success: nothing that was submitted before it may land any more. */
  acknowledge(change: BlockChange, durable: boolean): void {
    const index = this.#changes.indexOf(change)
    if (index < 0) return
    change.acknowledged = true
    if (durable) this.#settle(index)
    else if (change.lostWith === Number.POSITIVE_INFINITY) this.#now = Math.max(this.#now, index)
  }

  /**
   * A flush has succeeded that began at `mark`. Its caller knows of the first `told` lost caches, and relies on all
   * that they cannot have had.
   */
  flushed(mark: BlockChange | undefined, told: number): void {
    let index = mark === undefined ? -1 : this.#changes.indexOf(mark)
    const relied = ({ acknowledged, lostWith }: BlockChange): boolean => acknowledged && lostWith > told
    while (index > 0 && !relied(this.#changes[index]!)) index--
    if (index > 0) this.#settle(index)
  }

  /** The volatile cache is gone, the `number`th time: everything since the last durable change may stand there now. */
  cacheLost(number: number): void {
    this.#now = 0
    // Also what was not acknowledged yet: it may have been in the cache, or pieces of it.
    this.forgive(number)
  }

  /** No flush need make durable what is not so by now, and what the first `number` lost caches may have had. */
  forgive(number: number): void {
    for (const change of this.#changes.slice(1)) change.lostWith = Math.min(change.lostWith, number)
  }

  /**
   * Notes that `value` was read; returns whether it may be. What came before it does not come back, unless a cache was
   * lost while the read was under way: then it is not `latest`.
   */
  read(value: number, latest = true): boolean {
    const possible = this.#changes.slice(this.#now)
    if (possible.some((change) => change.value === ANYTHING)) return true
    const index = possible.findIndex((change) => change.value === value)
    if (index >= 0 && latest) this.#now += index
    return index >= 0
  }

  /** Whether `value` may stand there after a power loss now. */
  mayStandAfterCrash(value: number): boolean {
    return this.#changes.some((change) => change.value === value || change.value === ANYTHING)
  }

  /** In words, for messages. */
  toString(): string {
    const word = ({ value, acknowledged, lostWith }: BlockChange, index: number): string =>
      `${index < this.#now ? 'was ' : ''}${value}${acknowledged ? '' : '?'}${lostWith < Number.POSITIVE_INFINITY ? ' (cache lost)' : ''}`
    return this.#changes.map(word).join(', ')
  }

  #settle(index: number): void {
    this.#changes.splice(0, index)
    this.#now = Math.max(0, this.#now - index)
  }
}
