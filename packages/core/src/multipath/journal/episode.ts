import type { Failover, FailoverKind, FailoverLine } from '../../failover.ts'

// Lines that are kept of one failover: how it began, and what was last.
const FIRST = 16
const LAST = 48
// Of a text, characters.
const LONGEST = 400

/** One failover while it is written down: bounded, however long it lasts. */
export class Episode<Slot extends { readonly entry: { readonly id: string } }> {
  /** What is not well again yet. */
  readonly open: Set<Slot> = new Set()
  /** No path is usable. */
  stalled = false
  ended: number | undefined
  expired = 0
  longestWait: number
  /** Of the last thing that happened. */
  last: number
  readonly began: number
  readonly #first: FailoverLine[] = []
  readonly #last: FailoverLine[] = []
  #leftOut = 0

  constructor(now: number) {
    this.began = now
    this.last = now
    this.longestWait = 0
  }

  /** Adds what happened; what is as the line before, or as one of the same moment, is counted there. */
  tell(now: number, kind: FailoverKind, path: string, text: string, count: number): void {
    this.last = now
    const like = this.#alike(now, kind, path)
    const line = { at: like?.at ?? now, until: now, kind, path, count: (like?.count ?? 0) + count, text: cut(text) }
    if (like !== undefined) this.#replace(like, line)
    else if (this.#first.length < FIRST) this.#first.push(line)
    else if (this.#last.push(line) > LAST) {
      this.#last.shift()
      this.#leftOut++
    }
  }

  /** Whether that is among the lines of a path. */
  has(kind: FailoverKind, path: string): boolean {
    return [...this.#first, ...this.#last].some((line) => line.kind === kind && line.path === path)
  }

  /** Whether any of its lines is of a path. */
  concerns(path: string): boolean {
    return [...this.#first, ...this.#last].some((line) => line.path === path)
  }

  // What counts up: the I/Os of a path that move, the tries to connect it.
  #alike(now: number, kind: FailoverKind, path: string): FailoverLine | undefined {
    if (!COUNTED.has(kind)) return undefined
    const lines = [...this.#first, ...this.#last]
    for (let index = lines.length - 1; index >= 0; index--) {
      const line = lines[index] as FailoverLine
      if (line.path !== path) continue
      if (line.kind === kind) return line
      // Other things of that moment may stand between them.
      if (!COUNTED.has(line.kind) && line.until < now) return undefined
    }
    return undefined
  }

  #replace(old: FailoverLine, line: FailoverLine): void {
    for (const lines of [this.#first, this.#last]) {
      const index = lines.indexOf(old)
      if (index >= 0) lines[index] = line
    }
  }

  /** As it is now. */
  status(): Failover {
    const { began, ended, longestWait, expired } = this
    return {
      began,
      ended,
      open: Array.from(this.open, (slot) => slot.entry.id),
      longestWait,
      expired,
      lines: [...this.#first, ...this.#last],
      leftOut: this.#leftOut,
    }
  }
}

const COUNTED: ReadonlySet<FailoverKind> = new Set(['moved', 'held', 'freed', 'expired', 'unreachable', 'unfenced'])

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`
}
