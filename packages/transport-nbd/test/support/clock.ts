import type { Host } from '@blockbraid/core'

/** A host whose time moves only when told to. */
export function manualHost(): Host & { advance(milliseconds: number): void; pending(): number } {
  let now = 0
  let timers: { at: number; callback: () => void }[] = []
  return {
    random: () => 0.5,
    clock: {
      now: () => now * 1000,
      after(milliseconds, callback) {
        const timer = { at: now + milliseconds, callback }
        timers.push(timer)
        return {
          cancel() {
            timers = timers.filter((other) => other !== timer)
          },
        }
      },
      defer: queueMicrotask,
    },
    advance(milliseconds) {
      now += milliseconds
      const due = timers.filter((timer) => timer.at <= now)
      timers = timers.filter((timer) => timer.at > now)
      for (const timer of due) timer.callback()
    },
    pending: () => timers.length,
  }
}
