import type { BlockDevicePair } from '@blockbraid/core'
import type { Log } from '../log/log.ts'

const STATES = { probation: 'on probation', demoted: 'demoted', well: 'well again' } as const

/** Tells of paths that fail too often or are slow, and of those that are well again. */
export function reportHealth(pair: BlockDevicePair, log: Log): void {
  const flaps = new Map<string, ReturnType<Log['flap']>>()
  pair.events.on('health', ({ path, state, reason }) => {
    const flap = flaps.get(path) ?? log.flap(pair.id, `path ${path} was not well and well again`)
    flaps.set(path, flap)
    const address = pair.paths.find(({ id }) => id === path)?.address ?? path
    const crowd = { key: `${state} ${address}`, name: pair.id, many: `paths through ${address} are ${STATES[state]}` }
    const text = `path ${path} is ${STATES[state]}: ${reason}`
    flap.set(state !== 'well', text, state === 'well' ? 'info' : 'warning', crowd)
  })
}
