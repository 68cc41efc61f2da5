import type { PathSlot } from './path-slot.ts'

/**
 * Which of the losses of a cache that paths tell of is news: every path is told of the same one, and the first to tell
 * counts. One that has just been opened tells of what came before it, such as its own connecting, where another path was
 * there all the while and has heard of nothing.
 */
export class CacheNews {
  /** Those whose next loss is one that another path has told of. */
  readonly #late = new WeakSet<PathSlot>()
  /** What `entry.ios` reaches only by an I/O that was sent since another path told what this one may tell, or not. */
  readonly #doubts = new WeakMap<PathSlot, number>()
  /** Of those that have to bear out, or deny, what another path told when it was opened: the good Ios by which one denies it. */
  readonly #witnesses = new WeakMap<PathSlot, number>()
  /** How often there was something to bear out. */
  #questions = 0

  /** A path was opened; `wasReset`: the storage said so meanwhile. Returns whether that is a loss that none has told of. */
  connected(slot: PathSlot, wasReset: boolean, slots: readonly PathSlot[]): boolean {
    this.#late.delete(slot)
    this.#doubts.delete(slot)
    if (!wasReset) return false
    const others = othersThatHear(slots, slot)
    if (others.length === 0) return this.isNew(slot, slots)
    this.#doubt(others)
    // One that is not up yet has just been opened, too: it knows no more.
    const there = others.filter(({ state }) => state === 'up')
    for (const other of there.length > 0 ? there : others) {
      this.#witnesses.set(other, goodOf(other) + other.entry.inflight + 1)
    }
    this.#questions++
    return false
  }

  /** Those that have to bear out, or deny, what another one told when it was opened. */
  witnesses(slots: readonly PathSlot[]): readonly PathSlot[] {
    return slots.filter((slot) => slot.hears && this.#witnesses.has(slot))
  }

  /** Which question that is: it is another one where a path has told since. */
  get question(): number {
    return this.#questions
  }

  /** A witness has answered a command that was sent since, and told of nothing. */
  denied(question: number, slots: readonly PathSlot[]): void {
    if (question === this.#questions) for (const slot of slots) this.#witnesses.delete(slot)
  }

  /**
   * A path hears no more. Returns whether that makes a loss of what another one told when it was opened: the last that
   * could deny it has failed without a sign of life, as all do whose storage has lost its power.
   */
  deaf(slot: PathSlot, slots: readonly PathSlot[]): boolean {
    const needed = this.#witnesses.get(slot)
    if (needed === undefined) return false
    this.#witnesses.delete(slot)
    return goodOf(slot) < needed && !othersThatHear(slots, slot).some((other) => this.#witnesses.has(other))
  }

  /** Whether the loss that a path tells of is one that none has told of. */
  isNew(slot: PathSlot, slots: readonly PathSlot[]): boolean {
    // A path that hears late tells of all that it has missed at once (SAM-5 §5.14): counting would not do.
    if (this.#late.delete(slot)) return false
    for (const each of slots) this.#witnesses.delete(each)
    const inDoubt = slot.entry.ios < (this.#doubts.get(slot) ?? 0)
    this.#doubts.delete(slot)
    const others = othersThatHear(slots, slot)
    if (inDoubt) this.#doubt(others)
    else for (const other of others) this.#late.add(other)
    return true
  }

  /**
   * Another path has told what these may have told before, or have yet to tell. A path tells with its next command: what
   * it tells after one is new. What it tells before counts, as it may be new.
   */
  #doubt(slots: readonly PathSlot[]): void {
    for (const slot of slots) {
      if (!this.#late.has(slot)) this.#doubts.set(slot, slot.entry.ios + slot.entry.inflight + 1)
    }
  }
}

function othersThatHear(slots: readonly PathSlot[], slot: PathSlot): readonly PathSlot[] {
  return slots.filter((other) => other !== slot && other.hears)
}

function goodOf({ entry }: PathSlot): number {
  return entry.ios - entry.errors
}
