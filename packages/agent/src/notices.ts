import type { BlockDevicePair, Clock, PathStatus } from '@blockbraid/core'
import { describeLimits } from './limit-words.ts'

// A change that each path tells by itself has been told by all of them by then, milliseconds.
const SETTLED = 1000

/** Tells of paths that take no I/O though they are up, once that has lasted. */
function createStanding(pair: BlockDevicePair, clock: Clock, say: (text: string) => void): { look(): void } {
  const told = new Set<string>()
  let waits = false
  const tell = (): void => {
    waits = false
    if (pair.state === 'closed') return
    for (const { id, state, reason } of pair.paths) {
      if (state === 'up' && reason !== '') {
        if (!told.has(id)) say(`path ${id} is ${reason}`)
        told.add(id)
      } else if (told.delete(id) && state === 'up') {
        say(`path ${id} takes I/O again`)
      }
    }
  }
  const look = (): void => {
    if (!waits) clock.after(SETTLED, tell)
    waits = true
  }
  look()
  return { look }
}

/** Tells people what happens to a pair, one line an event. */
export function reportEvents(pair: BlockDevicePair, report: (line: string) => void, clock: Clock): void {
  const say = (text: string): void => report(`${pair.id}: ${text}`)
  const lost = new Set<string>()
  const standing = createStanding(pair, clock, say)
  pair.events.on('path', (path: PathStatus) => {
    standing.look()
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
  pair.events.on('limits', (change) => {
    for (const line of describeLimits(change, pair)) say(line)
  })
  pair.events.on('policyFault', (error) => say(`policy: ${error.message}`))
  pair.events.on('resizeFailed', (error) => say(`${pair.kernel.node} keeps its size: ${error.message}`))
  pair.events.on('limitsFailed', (error) => say(error.message))
  pair.events.on('lost', (error) => say(`lost: ${error.message}`))
}
