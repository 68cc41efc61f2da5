import type { BlockDevice, Host, Io, Timer } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { IoFilter, Relay } from './relay.ts'
import { matches, relayed } from './relay.ts'

/** What {@link delayed} does. */
export interface DelayOptions extends IoFilter {
  /** Milliseconds that each Io waits before the device gets it; a function is asked for each. */
  delay: number | ((io: Io) => number)
}

/**
 * A device or path that starts each Io late. What still waits when it is closed, or when the path goes
 * down, is passed on at once.
 */
export function delayed<D extends BlockDevice>(device: D, options: DelayOptions, host: Host = systemHost): D {
  const waiting = new Map<Relay, Timer>()
  const { delay } = options
  return relayed(device, {
    take(relay) {
      if (!matches(relay.outer, options)) return relay.pass()
      const pass = (): void => {
        waiting.delete(relay)
        relay.pass()
      }
      waiting.set(relay, host.clock.after(typeof delay === 'number' ? delay : delay(relay.outer), pass))
    },
    letGo() {
      const held = [...waiting]
      waiting.clear()
      for (const [relay, timer] of held) {
        timer.cancel()
        relay.pass()
      }
    },
  })
}
