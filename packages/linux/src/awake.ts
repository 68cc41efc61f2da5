import { addon } from './addon.ts'
import { needInteger } from './arguments.ts'

/**
 * Keeps the event loop of this thread from sleeping for `microseconds` (0 to 10,000) from now on: it looks at its
 * descriptors again and again and runs no JavaScript for it. Keeps no process alive. 0 ends it.
 */
export function stayAwake(microseconds: number): void {
  needInteger('microseconds', microseconds, 0, 10_000)
  addon().stayAwake(microseconds)
}
