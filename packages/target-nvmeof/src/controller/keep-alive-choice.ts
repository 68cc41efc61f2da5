import type { Controller } from '../nvme/controller-data.ts'

/** What the clocks of host and controller may differ in. */
export const DRIFT = 1.01

/** Keep Alive Timeouts from the last answer of a controller until it has missed its host (NVMe Base 2.1 §9.6). */
export function periodsOf(trafficBased: boolean): number {
  return trafficBased ? 3 : 2
}

/** What it is chosen by, where nobody has said which Keep Alive Timeout to ask for. */
export interface KeepAliveChoice {
  /** What Connect asks for, milliseconds. */
  readonly least: number
  /** What is taken for the Command Quiesce Time of a controller that does not state it, milliseconds. */
  readonly quiesceTime: number
}

// Writes of a path that falls silent should have moved by then where only time proves anything, milliseconds.
const LONGEST_WAIT = 10_500

/**
 * The longest Keep Alive Timeout up to `most` with which writes of a silent path still move in time, milliseconds, and `least`
 * where there is none: the longer it is, the longer a host may be held up. Where siblings reset a controller while it
 * lives, writes do not wait for it at all.
 */
export function chosenKeepAlive(
  {
    crossResets,
    trafficBased,
    keepAliveGranularity,
    quiesceTime: told,
  }: Pick<Controller, 'crossResets' | 'trafficBased' | 'keepAliveGranularity' | 'quiesceTime'>,
  most: number,
  { least, quiesceTime }: KeepAliveChoice,
): number {
  if (crossResets > 0) return most
  const left = LONGEST_WAIT / DRIFT - (told === 0 ? quiesceTime : told)
  const step = Math.max(keepAliveGranularity, 1)
  const fits = Math.floor(Math.min(most, left / periodsOf(trafficBased)) / step) * step
  return Math.max(least, fits)
}
