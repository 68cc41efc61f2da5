import type { BlockDevice, Host } from '@blockbraid/core'
import { Errno, PATH_ERROR, systemHost } from '@blockbraid/core'
import { isPath } from './forward.ts'
import type { IoFilter, Relay } from './relay.ts'
import { matches, relayed } from './relay.ts'

/** The handle of a device that can hang. */
export interface Hanging {
  /** Ios that are held. */
  readonly held: number
  /** Holds every Io submitted from now on. */
  hang(): void
  /** Passes on what is held, and every later Io. */
  release(): void
}

/**
 * A device or path whose Ios can be held back before the device gets them; it begins released. What is
 * held when it is closed, or when the path goes down, ends with ESHUTDOWN and never runs.
 */
export function hanging<D extends BlockDevice>(device: D, filter: IoFilter = {}, host: Host = systemHost): D & Hanging {
  const status = isPath(device) ? Errno.ESHUTDOWN | PATH_ERROR : Errno.ESHUTDOWN
  let hangs = false
  let held: Relay[] = []
  const takeHeld = (): Relay[] => {
    const all = held
    held = []
    return all
  }
  const front = relayed(device, {
    take(relay) {
      if (hangs && matches(relay.outer, filter)) held.push(relay)
      else relay.pass()
    },
    letGo() {
      hangs = false
      for (const relay of takeHeld()) host.clock.defer(() => relay.end(status))
    },
  })
  return Object.defineProperties(front, {
    held: { get: () => held.length },
    hang: {
      value() {
        hangs = true
      },
    },
    release: {
      value() {
        hangs = false
        for (const relay of takeHeld()) relay.pass()
      },
    },
  }) as D & Hanging
}
