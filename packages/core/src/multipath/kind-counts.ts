// A path that makes up kinds must not grow the list without end.
const MAX_KINDS = 32
const OTHERS = 'other'

/** What a plugin tells, counted by its own word for it. */
export class KindCounts {
  readonly #counts = new Map<string, number>()

  count(kind: string, count = 1): void {
    const known = this.#counts.has(kind) || this.#counts.size < MAX_KINDS
    const name = known ? kind : OTHERS
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count)
  }

  /** How many by kind; undefined where there were none. */
  get counts(): Readonly<Record<string, number>> | undefined {
    return this.#counts.size === 0 ? undefined : Object.fromEntries(this.#counts)
  }
}
