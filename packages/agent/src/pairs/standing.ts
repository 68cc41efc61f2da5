import type { BlockDevicePair } from '@blockbraid/core'
import type { Log } from '../log/log.ts'

/** Tells of paths that are up and stand back, once that has lasted. */
export function reportStanding(pair: BlockDevicePair, log: Log): void {
  const told = new Map<string, ReturnType<Log['flap']>>()
  const standing = new Set<string>()
  let waits = false
  const tell = (): void => {
    waits = false
    if (pair.state === 'closed') return
    for (const { id, state, standsBack = false, reason } of pair.paths) {
      if (standsBack === standing.has(id)) continue
      const flap = told.get(id) ?? log.flap(pair.id, `path ${id} stood back and took I/O again`)
      told.set(id, flap)
      if (standsBack) {
        standing.add(id)
        flap.set(true, `path ${id} is ${reason}`, 'warning')
      } else {
        standing.delete(id)
        if (state === 'up') flap.set(false, `path ${id} takes I/O again`)
      }
    }
  }
  const look = (): void => {
    if (!waits) log.settled(tell)
    waits = true
  }
  look()
  pair.events.on('path', look)
}
