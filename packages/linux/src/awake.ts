import { addon } from './addon.ts'
import { needInteger } from './arguments.ts'
import { check } from './errors.ts'

/**
 * Keeps the event loop of this thread from sleeping for `microseconds` (0 to 10,000) from now on: it looks at its
 * descriptors again and again and runs no JavaScript for it. Keeps no process alive. 0 ends it.
 */
export function stayAwake(microseconds: number): void {
  needInteger('microseconds', microseconds, 0, 10_000)
  addon().stayAwake(microseconds)
}

/**
 * Asks the scheduler for the shortest time slices for this thread, and those that it makes later: woken, it runs at
 * once beside processes that are busy, and gets no more of the core in all. Returns the slice in microseconds; 0 where the
 * thread's policy or the kernel (before Linux 6.12) knows none. Throws LinuxError, EPERM in some sandboxes.
 */
export function shortSlices(): number {
  return check('sched_setattr', addon().shortSlices()) / 1000
}
