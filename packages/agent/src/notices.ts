import type { BlockDevicePair, PathStatus } from '@blockbraid/core'
import { placeOf } from './plugin-files.ts'

/** Tells people what happens to a pair, one line an event. */
export function reportEvents(pair: BlockDevicePair, report: (line: string) => void): void {
  const say = (text: string): void => report(`${pair.id}: ${text}`)
  const lost = new Set<string>()
  pair.events.on('path', (path: PathStatus) => {
    if (path.state === 'up') {
      if (lost.delete(path.id)) say(`path ${path.id} is up again`)
    } else if (path.state !== 'connecting' && !lost.has(path.id)) {
      lost.add(path.id)
      say(`path ${path.id} is down${path.reason === '' ? '' : `: ${path.reason}`}`)
    }
  })
  pair.events.on('stalled', () => say('stalled: no usable path, I/O waits'))
  pair.events.on('resumed', ({ expired }) =>
    say(`resumed${expired === 0 ? '' : `; ${expired} I/Os had ended with EIO`}`),
  )
  pair.events.on('resized', ({ size }) => say(`now has ${size} bytes`))
  pair.events.on('policyFault', (error) => {
    const place = placeOf(error.cause)
    say(`policy: ${error.message}${place === undefined ? '' : ` (${place})`}`)
  })
  pair.events.on('resizeFailed', (error) => say(`${pair.kernel.node} keeps its size: ${error.message}`))
  pair.events.on('lost', (error) => say(`lost: ${error.message}`))
}
