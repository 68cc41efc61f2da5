import type { PathStatus } from '@blockbraid/core'
import type { Log } from '../log/log.ts'

type Flap = ReturnType<Log['flap']>

/** How what core gives as the reason of `failPath` begins. */
const BY_HAND = 'taken out by hand'

// Changes of one path by hand that are said at once, each.
const MOST = 10

/** Tells of the paths of a pair that go down and come up. */
export function pathNotices(pair: string, log: Log): (path: PathStatus) => void {
  const flaps = new Map<string, Flap>()
  // Whether each path that is down was taken out by somebody, who need not be told how bad that is.
  const lost = new Map<string, boolean>()
  const answered = new Set<string>()
  const flapOf = (id: string): Flap => {
    const known = flaps.get(id) ?? log.flap(pair, `path ${id} went down and came up`)
    flaps.set(id, known)
    return known
  }
  const byHand = (id: string, text: string): void => {
    const line = `${pair}: path ${id} ${text}`
    // The first of them answers whoever tries it; what follows is history.
    const severity = answered.has(line) ? 'info' : undefined
    answered.add(line)
    log.repeat(line, { topic: `${pair}: ${id} by hand`, severity, atOnce: MOST })
  }
  return ({ id, state, reason, address }) => {
    if (state === 'connecting') return
    if (state === 'up') {
      const wasByHand = lost.get(id)
      if (wasByHand === undefined) return
      lost.delete(id)
      if (wasByHand) return byHand(id, 'is up again')
      const crowd = { key: `up ${address}`, name: pair, many: `paths through ${address} are up again` }
      return flapOf(id).set(false, `path ${id} is up again`, 'info', crowd)
    }
    const isByHand = state === 'disabled' || reason.startsWith(BY_HAND)
    if (lost.has(id)) {
      if (state === 'disabled' && lost.get(id) === false) byHand(id, `was down, and is ${BY_HAND}`)
      return
    }
    lost.set(id, isByHand)
    const text = `is down${reason === '' ? '' : `: ${reason}`}`
    if (isByHand) return byHand(id, text)
    const crowd = { key: `down ${address}`, name: pair, many: `paths through ${address} are down` }
    flapOf(id).set(true, `path ${id} ${text}`, 'warning', crowd)
  }
}
