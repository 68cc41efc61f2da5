import { ANYTHING } from './block-history.ts'

/** A change of one block, as whoever asked for it knows it. Moments are of one counter. */
export interface RegisterChange {
  /** What it puts there, by a number; {@link ANYTHING} for a trim. */
  readonly value: number
  /** Number of the client that asked for it. */
  readonly owner: number
  /** Moment of its submit. */
  readonly from: number
  /** Moment of its end; Infinity before that. */
  to: number
  /** Whether it ended with success. */
  done: boolean
  /** Whether it takes place by its end, or never, though it did not end with success. */
  settled: boolean
  /** No loss of power or of a cache can undo it. */
  durable: boolean
  /** Number of the first lost cache that may have had it: a flush does not bring it back. Infinity where none was. */
  lostWith: number
  /** By when it was seen to stand there, and when it stood there last; since a cache was lost. */
  seenFrom: number
  seenTo: number
  /** By when it stood there if it stands there now: the moment of a lost cache that it had outlived. */
  since: number
}

/**
 * Which values one block may hold, as its users know it: linearizable over any number of clients, where a change that
 * ended with an error may take place until a later one has, or never. What was acknowledged stands, unless a cache is
 * lost before it is durable.
 */
export class BlockRegister {
  /** Those that no durable change has put an end to. */
  #changes: RegisterChange[]
  /** The others, with the moment since when nothing that begins sees them. */
  readonly #past: { readonly value: number; readonly until: number }[] = []

  /** `value` stands there, durable. */
  constructor(value: number) {
    this.#changes = [change(value, -1, 0)]
    Object.assign(this.#changes[0]!, { to: 0, done: true, durable: true, seenFrom: 0 })
  }

  /** A change is about to be submitted; it may take place from now on. */
  submit(value: number, owner: number, now: number): RegisterChange {
    const made = change(value, owner, now)
    this.#changes.push(made)
    return made
  }

  /** It has ended with success. Returns what is wrong with that, if anything is. */
  acknowledge(made: RegisterChange, now: number, durable: boolean): string | undefined {
    made.to = now
    made.done = true
    // What a cache that is gone may have had stands only if it is seen.
    if (made.lostWith === Number.POSITIVE_INFINITY || durable) made.seenFrom = Math.min(made.seenFrom, now)
    const fault = this.#conflict(made)
    if (durable) this.#settle(made)
    return fault
  }

  /** It has ended with an error: what begins from now on comes after it. */
  failed(made: RegisterChange, now: number): void {
    made.to = now
  }

  /** A flush that began at `began` has succeeded; by `told` its caller knows how many caches were lost with such a change. */
  flushed(began: number, told: (owner: number) => number): void {
    for (const made of [...this.#changes]) {
      if (made.done && made.to <= began && !made.durable && made.lostWith > told(made.owner)) this.#settle(made)
    }
  }

  /** The volatile cache is gone, the `number`th time: any change since the last durable one may stand there now. */
  cacheLost(number: number, now: number): void {
    this.forgive(number)
    for (const made of this.#changes) {
      made.seenFrom = Number.POSITIVE_INFINITY
      made.seenTo = made.from
      made.since = made.done ? now : Number.POSITIVE_INFINITY
    }
  }

  /** No flush need make durable what is not so by now, and what the first `number` lost caches may have had. */
  forgive(number: number): void {
    for (const made of this.#changes) if (!made.durable) made.lostWith = Math.min(made.lostWith, number)
  }

  /** A read from `from` to `to` has returned `value`; `steady`: no cache was lost meanwhile. Returns what is wrong with that. */
  read(value: number, from: number, to: number, steady: boolean): string | undefined {
    const legal = this.#changes.filter((made) => !steady || !this.#isPast(made, from))
    const isAnything = this.#past.some((made) => made.value === ANYTHING && from <= made.until)
    if (isAnything || legal.some((made) => made.value === ANYTHING)) return undefined
    const equal = this.#changes.filter((made) => made.value === value)
    const possible = equal.filter((made) => legal.includes(made))
    const wasThere = this.#past.some((made) => made.value === value && from <= made.until)
    if (possible.length === 0) return wasThere ? undefined : `${value}, which is none of: ${this}`
    const [made] = possible
    // Zeroes may be of several.
    if (equal.length > 1 || wasThere || made === undefined || !steady) return undefined
    made.seenFrom = Math.min(made.seenFrom, to, made.since)
    made.seenTo = Math.max(made.seenTo, from)
    return this.#conflict(made)
  }

  /** Whether `value` may stand there after a power loss now. */
  mayStandAfterCrash(value: number): boolean {
    return this.#changes.some((made) => made.value === value || made.value === ANYTHING)
  }

  /** In words, for messages. */
  toString(): string {
    const word = ({ value, from, to, done, durable, lostWith }: RegisterChange): string => {
      const end = to === Number.POSITIVE_INFINITY ? 'under way' : done ? `done at ${to}` : `failed at ${to}`
      const fate = durable ? ', durable' : lostWith < Number.POSITIVE_INFINITY ? ', cache lost' : ''
      return `${value === ANYTHING ? 'a trim' : value} (from ${from}, ${end}${fate})`
    }
    return this.#changes.map(word).join(', ')
  }

  // Another one that began after its end was seen before `from`: what stood there before does not come back.
  #isPast(made: RegisterChange, from: number): boolean {
    return this.#changes.some((other) => other.from > made.to && other.seenFrom < from)
  }

  // Each change stands there for one span of time from its end on (Gibbons and Korach, Testing Shared Memories, 1997).
  // Before that it may take place more than once: a path may have executed it and not said so.
  #conflict(made: RegisterChange): string | undefined {
    const from = standsFrom(made)
    if (from === Number.POSITIVE_INFINITY) return undefined
    for (const other of this.#changes) {
      const otherFrom = standsFrom(other)
      if (other === made || otherFrom === Number.POSITIVE_INFINITY) continue
      const fault = conflictOf(made, from, other, otherFrom) ?? conflictOf(other, otherFrom, made, from)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #settle(made: RegisterChange): void {
    made.durable = true
    made.lostWith = Number.POSITIVE_INFINITY
    const until = Math.min(made.seenFrom, made.to)
    for (const { value, to } of this.#changes) if (to < made.from) this.#past.push({ value, until })
    this.#changes = this.#changes.filter(({ to }) => to >= made.from)
  }
}

/** From when on it must have stood there, if it was seen after that; Infinity where nothing is known. */
function standsFrom({ value, done, settled, seenFrom, since, to }: RegisterChange): number {
  if (value === ANYTHING || seenFrom === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  if (since < Number.POSITIVE_INFINITY) return since
  return done || settled ? to : Number.POSITIVE_INFINITY
}

// Whether `other` must have stood there in the midst of the span of `made`.
function conflictOf(made: RegisterChange, from: number, other: RegisterChange, otherFrom: number): string | undefined {
  const { seenTo, value } = made
  if (from >= seenTo) return undefined
  const isInside =
    otherFrom < other.seenTo ? otherFrom < seenTo && from < other.seenTo : other.seenTo > from && otherFrom < seenTo
  if (!isInside) return undefined
  return `${value}, then ${other.value}, and ${value} again: between ${from} and ${seenTo} nothing else may have stood there`
}

function change(value: number, owner: number, from: number): RegisterChange {
  return {
    value,
    owner,
    from,
    to: Number.POSITIVE_INFINITY,
    done: false,
    settled: false,
    durable: false,
    lostWith: Number.POSITIVE_INFINITY,
    seenFrom: Number.POSITIVE_INFINITY,
    seenTo: from,
    since: Number.POSITIVE_INFINITY,
  }
}
