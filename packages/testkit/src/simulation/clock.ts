import type { Host, Timer } from '@blockbraid/core'
import type { VirtualClock } from '../time/driven-clock.ts'
import { createDrivenClock } from '../time/driven-clock.ts'
import { createRandom } from '../time/random.ts'

/** A host in virtual time, driven without an event loop. */
export interface SwarmHost extends Host {
  readonly clock: VirtualClock
}

// More than the longest chain of promises that core has between two timers: a test compares with an event loop.
const HOPS = 96

// More than is ever deferred without time going on.
const ENDLESS = 20_000

/** Lets promises settle: as many in a row as {@link HOPS}. */
async function drain(): Promise<void> {
  for (let hop = 0; hop < HOPS; hop++) await undefined
}

/** Makes a {@link SwarmHost}; `turn` lets promises settle, by default without any help of the machine. */
export function swarmHost(seed: number, turn: () => Promise<void> = drain): SwarmHost {
  return { clock: createDrivenClock(turn, seed), random: createRandom(seed) }
}

/** The host of one process. */
export interface ProcessHost extends Host {
  /** Its timers that have not fired. */
  readonly timers: number
  /** As SIGKILL: no timer fires any more, and nothing that was deferred is called. */
  kill(): void
}

/** The same time and randomness for one of several processes; `caught` gets what its callbacks throw. */
export function processHost({ clock, random }: SwarmHost, caught: (error: unknown) => void): ProcessHost {
  let dead = false
  let at = 0
  let deferred = 0
  const call = (callback: () => void): void => {
    if (dead) return
    try {
      callback()
    } catch (error) {
      caught(error)
    }
  }
  const made = {
    random,
    clock: {
      now: (): number => clock.now(),
      defer(callback: () => void): void {
        if (clock.now() !== at) deferred = 0
        at = clock.now()
        if (++deferred > ENDLESS)
          return caught(new Error(`virtual time stands at ${at} µs: there is no end of what is deferred`))
        clock.defer(() => call(callback))
      },
      after(milliseconds: number, callback: () => void): Timer {
        made.timers++
        let pending = true
        const end = (): void => {
          if (pending) made.timers--
          pending = false
        }
        const timer = clock.after(milliseconds, () => {
          end()
          call(callback)
        })
        return {
          cancel() {
            end()
            timer.cancel()
          },
        }
      },
    },
    timers: 0,
    kill(): void {
      dead = true
    },
  }
  return made
}
