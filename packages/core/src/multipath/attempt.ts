import type { IoDone } from '../io.ts'
import { Io, NO_BUFFERS } from '../io.ts'
import { Change } from './change.ts'
import type { Guard } from './guard.ts'
import type { PathSlot } from './path-slot.ts'

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
  covers: number
  /** To be durable at its end, which it is not: the cache that it was in meanwhile is gone. */
  doomed = false
  /** To be durable at its end, and sent to a path that may have taken that for nothing: what it can do has changed. */
  unsure = false
  /** Over its range, where whoever submitted it has gone. */
  guard: Guard | null = null
  /** `clock.now()` of its submit, µs. */
  started: number
  /** `clock.now()` of the first try that failed, or of its first wait, µs; only after its first trouble. */
  since: number
  /** Its number in the trace; 0 where it is in none. */
  traced: number
  /** `clock.now()` after which it may not be tried again, µs; 0 before its first trouble. */
  deadline: number
  next: Attempt | null = null

  constructor(done: IoDone) {
    super()
    this.io.owner = this
    this.io.done = done
    this.started = 0.5
    this.deadline = 0.5
    this.since = 0.5
    this.traced = 0.5
    this.covers = 0.5
    this.covers = 0
    this.started = 0
    this.deadline = 0
    this.since = 0
    this.traced = 0
  }
}

function forget(attempt: Attempt): void {
  attempt.unproven = null
  attempt.guard = null
  attempt.whole = null
  attempt.noted = false
  attempt.source = null
  attempt.troubled = false
  attempt.doomed = false
  attempt.unsure = false
  attempt.deadline = 0
}

/** All attempts ever made, and the idle ones of them. */
export class AttemptPool {
  readonly all: Attempt[] = []
  #idle: Attempt | null = null
  #done: IoDone

  constructor(done: IoDone) {
    this.#done = done
  }

  take(): Attempt {
    const attempt = this.#idle
    if (attempt === null) {
      const made = new Attempt(this.#done)
      this.all.push(made)
      return made
    }
    this.#idle = attempt.next
    attempt.next = null
    return attempt
  }

  give(attempt: Attempt): void {
    attempt.parent = null
    attempt.slot = null
    attempt.io.buffers = NO_BUFFERS
    // None of the rest was touched on the way of an I/O that met no trouble.
    if (attempt.noted || attempt.deadline !== 0 || attempt.doomed || attempt.unsure) forget(attempt)
    attempt.next = this.#idle
    this.#idle = attempt
  }
}

/** Attempts in order of arrival. */
export class AttemptList {
  head: Attempt | null = null
  length = 0
  #tail: Attempt | null = null

  push(attempt: Attempt): void {
    if (this.#tail === null) this.head = attempt
    else this.#tail.next = attempt
    this.#tail = attempt
    this.length++
  }

  shift(): Attempt | null {
    const attempt = this.head
    if (attempt === null) return null
    this.head = attempt.next
    if (this.head === null) this.#tail = null
    attempt.next = null
    this.length--
    return attempt
  }

  /** Takes out those that `pick` wants, in their order. */
  take(pick: (attempt: Attempt) => boolean): Attempt[] {
    const taken: Attempt[] = []
    for (let count = this.length; count > 0; count--) {
      const attempt = this.shift() as Attempt
      if (pick(attempt)) taken.push(attempt)
      else this.push(attempt)
    }
    return taken
  }

  /** The earliest deadline, µs; Infinity where none has one. */
  earliest(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (let attempt = this.head; attempt !== null; attempt = attempt.next) {
      if (attempt.deadline !== 0 && attempt.deadline < earliest) earliest = attempt.deadline
    }
    return earliest
  }
}

/** It has come back from its path, and may be sent once more. */
export function comeBack(attempt: Attempt): void {
  attempt.slot = null
  attempt.doomed = false
  attempt.unsure = false
}
