import type { BlockDevicePair } from '@blockbraid/core'
import type { Log } from '../log/log.ts'
import { placeOf } from '../plugins/plugin-files.ts'
import { formatSize } from '../text/amounts.ts'
import { rateWords } from '../text/rates.ts'
import { reportFences } from './fence-notices.ts'
import { reportHealth } from './health-notices.ts'
import { describeLimitChange } from './limit-changes.ts'
import { pathNotices } from './path-notices.ts'
import { reportStanding } from './standing.ts'

/** Tells people what happens to a pair. */
export function reportEvents(pair: BlockDevicePair, log: Log): void {
  const { id } = pair
  reportStanding(pair, log)
  reportHealth(pair, log)
  reportFences(pair, log)
  pair.events.on('path', pathNotices(id, log))
  const stalls = log.flap(id, 'stalled and resumed')
  pair.events.on('stalled', () =>
    stalls.set(true, 'stalled: no usable path, I/O waits', 'error', {
      key: 'stalled',
      name: id,
      many: 'pairs are stalled',
    }),
  )
  pair.events.on('resumed', ({ expired }) => {
    const lost = expired === 0 ? '' : `; ${expired} I/Os had ended with EIO`
    const crowd = { key: `resumed ${lost}`, name: id, many: 'pairs have resumed' }
    stalls.set(false, `resumed${lost}`, lost === '' ? 'info' : 'warning', crowd)
  })
  pair.events.on('parking', ({ parked, bytes, waited, left }) => {
    const what = parked === 1 ? '1 I/O waits' : `${parked} I/Os wait`
    const times = `the first for ${seconds(waited)}; in ${seconds(left)} that ends with EIO`
    log.repeat(`${id}: ${what} (${formatSize(bytes)}) for a path or a fence, ${times}`, {
      topic: `${id}: parking`,
      severity: 'warning',
      // What stalls and resumes all the while is counted there.
      count: 0,
      crowd: { key: 'parking', name: id, many: 'pairs have I/O that has waited for half of noPathTimeout' },
    })
  })
  pair.events.on('trouble', ({ kind, text, severity, count }) =>
    log.repeat(`${id}: ${text}`, {
      topic: `${id}: ${kind}`,
      severity,
      count,
      crowd: { key: `trouble ${kind}`, name: id, many: `troubles of this kind, ${kind},` },
    }),
  )
  pair.events.on('resized', ({ size }) =>
    log.repeat(`${id}: now has ${size} bytes`, { topic: `${id}: size`, severity: 'info' }),
  )
  pair.events.on('limits', ({ before, limits, path }) => {
    const text = describeLimitChange(before, limits)
    if (text === '') return
    const isProtected = limits.readOnly && !before.readOnly
    const why = isProtected ? protectedBy(pair, path) : changedBy(path)
    const severity = isProtected ? 'warning' : 'info'
    log.repeat(`${id}: ${text}${why}`, { topic: `${id}: limits`, severity, atOnce: 3 })
  })
  pair.events.on('rates', (rates) => {
    const text = rates === undefined ? 'held to no rates any more' : `held to ${rateWords(rates)}`
    log.repeat(`${id}: ${text}`, { topic: `${id}: rates`, severity: 'info', atOnce: 3 })
  })
  const say = (topic: string, text: string): void =>
    log.repeat(`${id}: ${text}`, { topic: `${id}: ${topic}`, severity: 'error' })
  pair.events.on('policyFault', (error) => {
    const place = placeOf(error.cause)
    say('policy', `policy: ${error.message}${place === undefined ? '' : ` (${place})`}`)
  })
  pair.events.on('cacheLost', ({ reason }) =>
    say('cache', `${reason}; what was not flushed may be lost: the next flush of each client fails`),
  )
  pair.events.on('resizeFailed', (error) => say('node', `${pair.kernel.node} keeps its size: ${error.message}`))
  pair.events.on('limitsFailed', (error) => say('node', `${pair.kernel.node} keeps its limits: ${error.message}`))
  pair.events.on('lost', (error) => say('lost', `lost: ${error.message}`))
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}

function protectedBy({ paths }: BlockDevicePair, path: string): string {
  const tells = paths.some(({ id, state }) => id === path && state === 'up')
  return tells ? `: path ${path} says write protected` : ': no path that is left takes changes'
}

function changedBy(path: string): string {
  return path === '' ? '' : ` (path ${path})`
}
