import { channel } from 'node:diagnostics_channel'
import type { BlockDevicePair } from '@blockbraid/core'
import { describeProof } from '@blockbraid/core'
import type { Log } from '../log/log.ts'

/** Gets each proof that writes have waited for. */
const fenced = channel('blockbraid.path.fenced')

// Writes that waited for longer are worth a line, milliseconds.
const LONG = 1000

/** Tells by what the paths of a pair were fenced, and how long it took. */
export function reportFences(pair: BlockDevicePair, log: Log): void {
  const { id } = pair
  pair.events.on('fenced', (detail) => {
    const { path, took, by } = detail
    if (fenced.hasSubscribers) fenced.publish({ ...detail, pair: id })
    if (took < LONG) return
    log.repeat(`${id}: path ${path} was ${describeProof(detail)}`, {
      topic: `${id}: fence of ${path}`,
      severity: 'info',
      crowd: { key: `fenced ${by}`, name: id, many: 'paths were fenced' },
    })
  })
}
