import type { IoDone } from '../io.ts'
import { Io, IoOp } from '../io.ts'
import { Change } from './change.ts'
import type { Guard } from './guard.ts'
import type { PathSlot } from './path-slot.ts'

/** How the end of a try differs from that of others. */
export const Apart = {
  No: 0,
  /** To be durable at its end, and sent to a path that may have taken that for nothing: what it can do has changed. */
  Unsure: 1,
  /** A read that may have a second try: its path has left views of its own. */
  Watched: 2,
  /** A read whose second try has won: nobody waits for it any more but its path. */
  Lost: 3,
} as const
/** One of the values of {@link Apart}. */
export type Apart = (typeof Apart)[keyof typeof Apart]

/**
 * One try of an I/O on one path. Pooled; while it waits for a path, for room or for a fence it stands
 * in an {@link AttemptList}. A late completion finds `parent` null and reaches nobody.
 */
export class Attempt extends Change {
  readonly io: Io = new Io()
  /** The I/O that this try serves; null when it was abandoned, or is idle. */
  parent: Io | null = null
  /** The path it was submitted to; null while it waits. */
  slot: PathSlot | null = null
  /** The path that failed with it, as long as there is no proof that it can change nothing any more. */
  unproven: PathSlot | null = null
  /** Whether it stands in the index of changes. */
  noted = false
  /** The whole that it does a piece of. */
  whole: Change | null = null
  /** Flush: how many changes were acknowledged when it began. */
  covers = 0.5
  /** To be durable at its end, which it is not: the cache that it was in meanwhile is gone. */
  doomed = false
  /** How its end differs from that of others. */
  apart: Apart = Apart.No
  /** The other try of its read, which is in flight, too. */
  twin: Attempt | null = null
  /** Over its range, where whoever submitted it has gone. */
  guard: Guard | null = null
  /** When its I/O arrived at the device, among others; counted modulo 2 ** 32. */
  arrival = 0
  /** `clock.now()` of its submit, µs. */
  started = 0.5
  /** `clock.now()` of the first try that failed, or of its first wait, µs; only after its first trouble. */
  since = 0.5
  /** Its number in the trace; 0 where it is in none. */
  traced = 0.5
  /** `clock.now()` after which it may not be tried again, µs; 0 before its first trouble. */
  deadline = 0.5
  /** Where it waits; null where it does not. */
  list: AttemptList | null = null
  ahead: Attempt | null = null
  next: Attempt | null = null

  constructor(done: IoDone) {
    super()
    this.io.owner = this
    this.io.done = done
    this.covers = 0
    this.started = 0
    this.deadline = 0
    this.since = 0
    this.traced = 0
  }
}

/** It has come back from its path, and may be sent once more. */
export function comeBack(attempt: Attempt): void {
  attempt.slot = null
  attempt.doomed = false
  attempt.apart = Apart.No
}

/** Attempts that wait, in the order in which their I/Os arrived at the device. */
export class AttemptList {
  /** Whether those here wait for a bounded time, once they are in trouble. */
  readonly bounded: boolean
  head: Attempt | null = null
  length = 0
  /** Of the reads and writes among them. */
  bytes = 0.5
  #tail: Attempt | null = null
  // Where the last one was put: what comes in out of order comes in runs that are in order.
  #last: Attempt | null = null

  constructor(bounded: boolean) {
    this.bounded = bounded
    // Declared as a double so that V8 keeps one representation.
    this.bytes = 0
  }

  /** Adds one at its place. */
  insert(attempt: Attempt): void {
    const tail = this.#tail
    const before = tail === null || isBefore(tail, attempt) ? tail : this.#placeOf(attempt)
    const after = before === null ? this.head : before.next
    attempt.list = this
    attempt.ahead = before
    attempt.next = after
    if (before === null) this.head = attempt
    else before.next = attempt
    if (after === null) this.#tail = attempt
    else after.ahead = attempt
    this.#last = attempt
    this.length++
    this.bytes += bytesOf(attempt)
  }

  /** What stands before the place of one that belongs before the tail. */
  #placeOf(attempt: Attempt): Attempt | null {
    let before = this.#last ?? this.#tail
    while (before !== null && !isBefore(before, attempt)) before = before.ahead
    for (let after = before === null ? this.head : before.next; after !== null && isBefore(after, attempt); ) {
      before = after
      after = after.next
    }
    return before
  }

  remove(attempt: Attempt): void {
    const { ahead: before, next } = attempt
    if (before === null) this.head = next
    else before.next = next
    if (next === null) this.#tail = before
    else next.ahead = before
    if (this.#last === attempt) this.#last = before
    attempt.list = null
    attempt.ahead = null
    attempt.next = null
    this.length--
    this.bytes -= bytesOf(attempt)
  }

  shift(): Attempt | null {
    const attempt = this.head
    if (attempt !== null) this.remove(attempt)
    return attempt
  }

  /** Takes out those that `pick` wants, in their order. */
  take(pick: (attempt: Attempt) => boolean): Attempt[] {
    const taken: Attempt[] = []
    for (let attempt = this.head; attempt !== null; ) {
      const { next } = attempt
      if (pick(attempt)) {
        this.remove(attempt)
        taken.push(attempt)
      }
      attempt = next
    }
    return taken
  }
}

// Arrivals are counted modulo 2 ** 32.
function isBefore(one: Attempt, other: Attempt): boolean {
  return ((one.arrival - other.arrival) | 0) <= 0
}

function bytesOf({ parent }: Attempt): number {
  return parent === null || parent.op > IoOp.Write ? 0 : parent.length
}
