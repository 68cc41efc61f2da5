import type { Host } from '@blockbraid/core'

/** A host whose process can be killed. */
export interface KillableHost extends Host {
  /** As SIGKILL: no timer fires any more, and nothing that was deferred is called. */
  kill(): void
}

/** The same time and randomness for one of several processes. */
export function killableHost(host: Host): KillableHost {
  let dead = false
  const living = (callback: () => void) => (): void => {
    if (!dead) callback()
  }
  return {
    random: host.random,
    clock: {
      now: () => host.clock.now(),
      after: (milliseconds, callback) => host.clock.after(milliseconds, living(callback)),
      defer: (callback) => host.clock.defer(living(callback)),
    },
    kill() {
      dead = true
    },
  }
}
