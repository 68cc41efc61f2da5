import { checkedRecord } from '../checked-record.ts'
import type { RideOut } from './deadlines/ride-out.ts'
import { rideOutProfiles } from './deadlines/ride-out.ts'
import type { HealthOptions, ResolvedHealth } from './health/health-options.ts'
import { resolveHealth } from './health/health-options.ts'

/** Options of a multipath device. Times are milliseconds. */
export interface MultipathOptions extends HealthOptions {
  /** How long an I/O may wait for a usable path, and a write for its fence, before it ends with EIO. @defaultValue 30000 */
  noPathTimeout?: number
  /** How long a read or a write may be in flight before its path counts as failed; 0 means for ever. @defaultValue 30000 */
  ioTimeout?: number
  /** The same for a flush: what a cache holds may take long to write. @defaultValue four times `ioTimeout` */
  flushTimeout?: number
  /** The same for a trim; a longer one goes in pieces of 64 MiB, each with its own time. @defaultValue four times `ioTimeout` */
  trimTimeout?: number
  /** The same for zeroes that the storage writes; more of them go in pieces, as those of a trim. @defaultValue four times `ioTimeout` */
  zeroTimeout?: number
  /** How long one try to connect may take. @defaultValue 10000 */
  connectTimeout?: number
  /** First wait between tries to connect; doubles, with jitter, up to `reconnectDelayMax`. @defaultValue 100 */
  reconnectDelay?: number
  /** Longest wait between tries to connect. @defaultValue 10000 */
  reconnectDelayMax?: number
  /** How long a path may be in transition between access states whose storage does not say it; after that it counts as unavailable. @defaultValue 20000, or two thirds of `noPathTimeout` where that is less */
  transitionTimeout?: number
  /** When I/O goes back to a better group of paths: at once, by hand, or when one has been usable for that long. @defaultValue 'immediate' */
  failback?: Failback
  /** By path id, address or name of a target, the first of these that is named: among paths of equal access a larger one is used first. @defaultValue 0 each */
  priorities?: Readonly<Record<string, number>>
  /** How many I/Os may wait for a usable path or for a fence; more of them end with EIO at once. @defaultValue 65536 */
  maxParked?: number
  /** How many bytes those may have. @defaultValue 1 GiB */
  maxParkedBytes?: number
  /**
   * Whether a read that takes longer than 99 in 100 on its path gets a second try on another path; the first answer
   * counts. At most one read in twenty. @defaultValue false
   */
  hedgeReads?: boolean
  /** Values for the times that are left out; see {@link rideOutProfiles}. @defaultValue none: those given with each of them */
  rideOut?: RideOut
  /** Weight by path id, above 0, for policies that use it. @defaultValue 1 each */
  weights?: Readonly<Record<string, number>>
}

/** When I/O goes back to a better group of paths that is usable again; a number is milliseconds for which it must have been. */
export type Failback = 'immediate' | 'manual' | number

/** {@link MultipathOptions} with every default in place. */
export type ResolvedOptions = Required<Omit<MultipathOptions, keyof HealthOptions | 'rideOut'>> & ResolvedHealth

/** Fills in defaults; throws a TypeError that names a wrong field. */
export function resolveOptions(given: MultipathOptions = {}): ResolvedOptions {
  checkedRecord('multipath', given)
  const options = withProfile(given)
  const ioTimeout = milliseconds('ioTimeout', options.ioTimeout, 30_000, 0)
  const long = Math.min(ioTimeout * LONG, LONGEST)
  const noPathTimeout = milliseconds('noPathTimeout', options.noPathTimeout, 30_000, 0)
  const transition = Math.min(TRANSITION, Math.ceil((noPathTimeout * 2) / 3))
  const resolved: ResolvedOptions = {
    noPathTimeout,
    ioTimeout,
    flushTimeout: milliseconds('flushTimeout', options.flushTimeout, long, 0),
    trimTimeout: milliseconds('trimTimeout', options.trimTimeout, long, 0),
    zeroTimeout: milliseconds('zeroTimeout', options.zeroTimeout, long, 0),
    connectTimeout: milliseconds('connectTimeout', options.connectTimeout, 10_000, 1),
    reconnectDelay: milliseconds('reconnectDelay', options.reconnectDelay, 100, 1),
    reconnectDelayMax: milliseconds('reconnectDelayMax', options.reconnectDelayMax, 10_000, 1),
    transitionTimeout: milliseconds('transitionTimeout', options.transitionTimeout, transition, 0),
    failback: failbackOf(options.failback),
    priorities: checkedRecord('priorities', options.priorities) ?? {},
    maxParked: count('maxParked', options.maxParked, 65_536),
    maxParkedBytes: count('maxParkedBytes', options.maxParkedBytes, 2 ** 30),
    hedgeReads: flag('hedgeReads', options.hedgeReads),
    weights: checkedRecord('weights', options.weights) ?? {},
    ...resolveHealth(options, given.reconnectDelayMax),
  }
  for (const [id, weight] of Object.entries(resolved.weights)) {
    if (!(weight > 0 && Number.isFinite(weight))) throw new TypeError(`weights[${id}] is ${weight}; it must be above 0`)
  }
  for (const [key, priority] of Object.entries(resolved.priorities)) {
    if (!Number.isFinite(priority)) throw new TypeError(`priorities[${key}] is ${priority}; it must be a number`)
  }
  return resolved
}

function failbackOf(value: Failback = 'immediate'): Failback {
  if (value === 'immediate' || value === 'manual') return value
  if (typeof value === 'number' && value >= 0 && value <= LONGEST) return value
  throw new TypeError(`failback is ${value}; it must be immediate, manual, or 0 to ${LONGEST} milliseconds`)
}

/** What is given, over what its profile says. */
function withProfile(given: MultipathOptions): MultipathOptions {
  const { rideOut } = given
  if (rideOut === undefined) return given
  const profile = Object.hasOwn(rideOutProfiles, rideOut) ? rideOutProfiles[rideOut] : undefined
  if (profile === undefined) {
    throw new TypeError(`rideOut is ${rideOut}; it must be ${Object.keys(rideOutProfiles).join(' or ')}`)
  }
  const explicit = Object.entries(given).filter(([, value]) => value !== undefined)
  return { ...profile, ...Object.fromEntries(explicit) }
}

// Longer than it usually takes, and there is time left for another path.
const TRANSITION = 20_000
// What may take so much longer than a read or a write.
const LONG = 4
// The longest delay that setTimeout keeps, about 24.8 days.
const LONGEST = 2 ** 31 - 1

function milliseconds(field: string, value: number | undefined, initial: number, least: number): number {
  if (value === undefined) return initial
  if (typeof value === 'number' && value >= least && value <= LONGEST) return value
  throw new TypeError(`${field} is ${value}; it must be ${least} to ${LONGEST} milliseconds`)
}

function count(field: string, value: number | undefined, initial: number): number {
  if (value === undefined) return initial
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${field} is ${value}; it must be a whole number, 0 or more`)
}

function flag(field: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new TypeError(`${field} is ${value}; it must be true or false`)
}
