import type { PathSelector, PathStatus, PathView } from '@blockbraid/core'
import { IoOp, messageOf } from '@blockbraid/core'
import { placeOf } from './plugin-files.ts'

const kinds: readonly (readonly [IoOp, string, number])[] = [
  [IoOp.Read, 'a read', 4096],
  [IoOp.Write, 'a write', 4096],
  [IoOp.Flush, 'a flush', 0],
  [IoOp.Trim, 'a trim', 4096],
  [IoOp.WriteZeroes, 'a write of zeroes', 4096],
]

/**
 * Asks a selector that serves nobody for a path for an I/O of each kind. Returns what it does wrong, for people;
 * undefined where it does what policies must.
 */
export function probePolicy(selector: PathSelector, paths: readonly PathStatus[]): string | undefined {
  const up = paths.filter(({ state }) => state === 'up')
  const views = (up.length > 0 ? up : paths).map(viewOf)
  if (views.length === 0) return undefined
  const now = Math.max(...views.map(({ upSince }) => upSince))
  try {
    selector.update([...views])
  } catch (error) {
    return describeFault(selector.name, 'update threw', error)
  }
  for (const [op, what, length] of kinds) {
    let picked: unknown
    try {
      picked = selector.select(Object.freeze({ op, flags: 0, offset: 0, length, now }))
    } catch (error) {
      return describeFault(selector.name, `select threw for ${what}`, error)
    }
    if (views.includes(picked as PathView)) continue
    // What an asynchronous policy rejects with would else end the process.
    if (picked instanceof Promise) picked.catch(() => {})
    return `policy ${selector.name}: select returned ${nameOf(picked)} for ${what}, and not a path of its last update`
  }
  return undefined
}

/** `policy mine: update threw at /etc/mine.ts:12: why` */
export function describeFault(name: string, what: string, error: unknown): string {
  const place = placeOf(error)
  return `policy ${name}: ${what}${place === undefined ? '' : ` at ${place}`}: ${wordsOf(error)}`
}

// What a policy throws may throw again when it is looked at.
function wordsOf(error: unknown): string {
  try {
    return String(messageOf(error)).split('\n')[0]!
  } catch {
    return 'something that cannot be shown'
  }
}

function nameOf(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  return value instanceof Promise ? 'a promise' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function viewOf({ id, target, address, access, inflight, latency, since }: PathStatus): PathView {
  return Object.freeze({
    id,
    target,
    address,
    access: access ?? 'optimized',
    weight: 1,
    queueDepth: 128,
    inflight,
    inflightBytes: 0,
    latency,
    throughput: 0,
    errors: 0,
    upSince: since,
  })
}
