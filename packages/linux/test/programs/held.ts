// What a process holds: file descriptors, mappings, memory.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

declare const gc: () => void

export interface Held {
  fds: number
  mappings: number
  rss: number
}

/** Counts, after garbage collection. */
export async function held(): Promise<Held> {
  for (let i = 0; i < 3; i++) {
    gc()
    await sleep(1)
  }
  return {
    fds: readdirSync('/proc/self/fd').filter((name) => name !== 'self').length,
    mappings: readFileSync('/proc/self/maps', 'latin1')
      .split('\n')
      .filter((line) => /io_uring|ublk|held-file/.test(line)).length,
    rss: process.memoryUsage.rss() / 2 ** 20,
  }
}

/** Resolves when `left` is true of what is held; V8 and the kernel free in their own time. */
export async function until(left: (now: Held) => boolean): Promise<Held> {
  for (let tries = 0; ; tries++) {
    const now = await held()
    if (left(now) || tries === 200) return now
    await sleep(10)
  }
}
