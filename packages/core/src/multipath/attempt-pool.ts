import type { IoDone } from '../io.ts'
import { NO_BUFFERS } from '../io.ts'
import { Apart, Attempt } from './attempt.ts'

function forget(attempt: Attempt): void {
  attempt.unproven = null
  attempt.guard = null
  attempt.whole = null
  attempt.noted = false
  attempt.source = null
  attempt.troubled = false
  attempt.doomed = false
  attempt.apart = Apart.No
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
    if (attempt === null) return this.#make()
    this.#idle = attempt.next
    attempt.next = null
    return attempt
  }

  #make(): Attempt {
    const attempt = new Attempt(this.#done)
    this.all.push(attempt)
    return attempt
  }

  give(attempt: Attempt): void {
    attempt.parent = null
    attempt.slot = null
    attempt.io.buffers = NO_BUFFERS
    // None of the rest was touched on the way of an I/O that met no trouble.
    if (attempt.noted || attempt.deadline !== 0 || attempt.doomed || attempt.apart !== Apart.No) forget(attempt)
    attempt.next = this.#idle
    this.#idle = attempt
  }
}
