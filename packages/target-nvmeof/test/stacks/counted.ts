import type { Host, Timer } from '@blockbraid/core'

/** A host that knows how many of its timers have neither fired nor been cancelled. */
export interface CountedHost extends Host {
  readonly timers: number
}

export function counted(host: Host): CountedHost {
  const open = new Set<Timer>()
  const after = (milliseconds: number, callback: () => void): Timer => {
    const inner = host.clock.after(milliseconds, () => {
      open.delete(timer)
      callback()
    })
    const timer = {
      cancel() {
        open.delete(timer)
        inner.cancel()
      },
    }
    open.add(timer)
    return timer
  }
  return {
    random: host.random,
    clock: { now: () => host.clock.now(), after, defer: (callback) => host.clock.defer(callback) },
    get timers() {
      return open.size
    },
  }
}
