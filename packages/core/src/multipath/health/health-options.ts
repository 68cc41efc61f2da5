import { checkedRecord } from '../../checked-record.ts'

/** When a path that fails again and again is put on probation, and for how long. Times are milliseconds. */
export interface FlappingOptions {
  /** So many failures within `window` are too many. @defaultValue 5 */
  failures?: number
  /** @defaultValue 60000, or six times `reconnectDelayMax` where one is given that is shorter than 10000 */
  window?: number
  /** How long the first probation lasts; each that follows soon takes twice as long. @defaultValue 60000 */
  probation?: number
  /** Longest probation. @defaultValue 600000 */
  probationMax?: number
}

/** When a path that is slower than its equals, or errs, is used last. Times are milliseconds. */
export interface SlowOptions {
  /** So many times the latency of its equals, of the middle one, is too slow. @defaultValue 5 */
  factor?: number
  /** And so much more than that latency. @defaultValue 20 */
  floor?: number
  /** For so long. @defaultValue 10000 */
  time?: number
  /** Over so many Ios at least in each quarter of `time`. @defaultValue 20 */
  ios?: number
  /** Share of Ios that may end with a path error or with damaged data, 0 to 1. @defaultValue 0.05 */
  errors?: number
}

/** What decides which paths are well. */
export interface HealthOptions {
  /**
   * A path from which nothing has come for so long is pinged, milliseconds; 0: never. Paths without
   * {@link Path.ping} are not. @defaultValue 5000
   */
  keepAlive?: number
  /** A path that has not answered a ping within so many milliseconds, nor anything else, has failed. @defaultValue 5000 */
  keepAliveTimeout?: number
  /** A path that fails often gets no I/O, while others are there, until it has stayed up for a while; false: never. */
  flapping?: FlappingOptions | false
  /** A slow path, or one that errs, gets hardly any I/O while others are there, until it is well; false: never. */
  slow?: SlowOptions | false
}

/** {@link HealthOptions} with every default in place. */
export interface ResolvedHealth {
  readonly keepAlive: number
  readonly keepAliveTimeout: number
  readonly flapping: Required<FlappingOptions> | false
  readonly slow: Required<SlowOptions> | false
}

// The longest delay that setTimeout keeps, about 24.8 days.
const LONGEST = 2 ** 31 - 1

const WINDOW = 60_000
// What is tried again so soon fails sooner in a row, too.
const WINDOW_DELAYS = 6

/** Fills in defaults, some by the `reconnectDelayMax` that was given; throws a TypeError that names a wrong field. */
export function resolveHealth(options: HealthOptions, reconnectDelayMax: number | undefined): ResolvedHealth {
  const window = Math.min(WINDOW, WINDOW_DELAYS * (reconnectDelayMax ?? WINDOW))
  return {
    keepAlive: inside('keepAlive', options.keepAlive, 5000, 0, LONGEST),
    keepAliveTimeout: inside('keepAliveTimeout', options.keepAliveTimeout, 5000, 1, LONGEST),
    flapping: options.flapping !== false && resolveFlapping(checkedRecord('flapping', options.flapping), window),
    slow: options.slow !== false && resolveSlow(checkedRecord('slow', options.slow)),
  }
}

function resolveFlapping(options: FlappingOptions = {}, window: number): Required<FlappingOptions> {
  const { failures } = options
  const probation = inside('flapping.probation', options.probation, 60_000, 1, LONGEST)
  return {
    failures: inside('flapping.failures', failures, 5, 1, 1000),
    window: inside('flapping.window', options.window, window, 1, LONGEST),
    probation,
    probationMax: inside(
      'flapping.probationMax',
      options.probationMax,
      Math.max(probation, 600_000),
      probation,
      LONGEST,
    ),
  }
}

function resolveSlow({ factor, floor, time, ios, errors }: SlowOptions = {}): Required<SlowOptions> {
  return {
    factor: inside('slow.factor', factor, 5, 1.5, 1e6),
    floor: inside('slow.floor', floor, 20, 0, LONGEST),
    time: inside('slow.time', time, 10_000, 100, LONGEST),
    ios: inside('slow.ios', ios, 20, 1, 1e9),
    errors: inside('slow.errors', errors, 0.05, 0, 1),
  }
}

function inside(field: string, value: number | undefined, initial: number, least: number, most: number): number {
  if (value === undefined) return initial
  if (typeof value === 'number' && value >= least && value <= most) return value
  throw new TypeError(`${field} is ${value}; it must be ${least} to ${most}`)
}
