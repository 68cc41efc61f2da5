import type { Clock } from '@blockbraid/core'

// What is put off until the bytes at hand have been seen. The first `count` are due; the array is never cut, which would
// give its memory back.
const due: (() => void)[] = []
let count = 0
let depth = 0
const nothing = (): void => {}

/** Bytes have come, and are about to be seen; `endTurn` must follow. */
export function beginTurn(): void {
  depth++
}

/** They have been seen: what was put off happens now. */
export function endTurn(): void {
  if (depth > 1) {
    depth--
    return
  }
  try {
    for (let at = 0; at < count; at++) {
      const job = due[at]!
      due[at] = nothing
      job()
    }
  } finally {
    count = 0
    depth = 0
  }
}

/**
 * Calls `job` when the present turn ends. Where that is one in which bytes are read, as most are, without the garbage of
 * `defer`: it is that of a microtask.
 */
export function atTurnEnd(clock: Clock, job: () => void): void {
  if (depth > 0) due[count++] = job
  else clock.defer(job)
}
