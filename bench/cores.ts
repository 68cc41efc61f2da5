import { readFileSync } from 'node:fs'
import { TICKS } from './servers.ts'

/** Seconds that a core has been busy since the machine began, by whomever. */
export function busySeconds(core: string): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`cpu${core} `))
  // proc(5): user, nice, system, idle, iowait, irq, softirq, steal.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (line ?? '').split(' ').slice(1).map(Number)
  return (user + nice + system + irq + softirq) / TICKS
}
