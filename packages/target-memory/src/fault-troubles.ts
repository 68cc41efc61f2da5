import type { Clock, IoStatus, PathTrouble } from '@blockbraid/core'
import { describeStatus, Errno, errnoOf, isPathError, opName } from '@blockbraid/core'
import type { Command } from './command.ts'

// Of a kind no more than one event within that time, µs.
const INTERVAL = 5_000_000

const kinds: Readonly<Record<number, string>> = {
  [Errno.ENODATA]: 'medium error',
  [Errno.ENOSPC]: 'no space left to allocate',
  [Errno.EBADE]: 'reservation conflict',
  [Errno.EROFS]: 'write protected',
  [Errno.EPERM]: 'write protected',
  [Errno.EAGAIN]: 'not ready',
  [Errno.EBUSY]: 'busy',
  [Errno.ETIMEDOUT]: 'no answer in time',
}

/** Tells of the commands that fail because a fault says so; what came too soon after another is told with the next. */
export class FaultTroubles {
  readonly #clock: Clock
  readonly #place: string
  readonly #emit: (trouble: PathTrouble) => void
  readonly #kinds = new Map<string, { count: number; due: number }>()

  /** `place`: the volume and the port, for people. */
  constructor(clock: Clock, place: string, emit: (trouble: PathTrouble) => void) {
    this.#clock = clock
    this.#place = place
    this.#emit = emit
  }

  add({ op, offset }: Pick<Command, 'op' | 'offset'>, blockSize: number, status: IoStatus): void {
    const kind = kinds[errnoOf(status)] ?? (isPathError(status) ? 'path error' : 'hardware error')
    const now = this.#clock.now()
    const known = this.#kinds.get(kind) ?? { count: 0, due: now }
    this.#kinds.set(kind, known)
    known.count++
    if (now < known.due) return
    const { count } = known
    known.count = 0
    known.due = now + INTERVAL
    this.#emit({
      kind,
      text: `${kind} (${describeStatus(status)}); ${opName(op)} at block ${offset / blockSize}, ${this.#place}`,
      severity: isPathError(status) ? 'warning' : 'error',
      count,
    })
  }
}
