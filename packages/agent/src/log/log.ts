import type { Clock, Timer } from '@blockbraid/core'
import type { Crowd } from './crowd.ts'
import { Crowds } from './crowd.ts'
import { createFlap } from './flap.ts'
import { Repeats } from './repeats.ts'
import type { Report, Severity } from './report.ts'

/** What can repeat itself. */
export interface Repeated {
  /** What it is about: of one topic one line is said a minute. */
  readonly topic: string
  readonly severity: Severity | undefined
  /** How often it has happened. @defaultValue 1 */
  readonly count?: number
  /** How many lines are said at once. @defaultValue 1 */
  readonly atOnce?: number
  /** Others that may say the same at once. */
  readonly crowd?: Crowd
}

/** Stands before the log of a running agent, so that nothing that happens again and again fills it. */
export interface Log {
  /** Says a line at once; the same line once more within a minute is only counted. */
  readonly report: Report
  /** Says the first lines of a topic at once, and once a minute how many more there were. */
  repeat(line: string, repeated: Repeated): void
  /** Something of `name` that begins and ends; `again` calls both together, such as `stalled and resumed`. */
  flap(name: string, again: string): { set(on: boolean, text: string, severity?: Severity, crowd?: Crowd): void }
  /** Calls back once a change that comes in several pieces is over; not after {@link Log.close}. */
  settled(callback: () => void): void
  /** Says nothing more on its own. */
  close(): void
}

// A change that each path of a pair tells by itself has been told by all of them by then, milliseconds.
const SETTLED = 1000

/** Makes a {@link Log} that says to `report` what is left. */
export function createLog(clock: Clock, report: Report): Log {
  const { clock: own, cancel } = cancellable(clock)
  const repeats = new Repeats(own)
  const crowds = new Crowds(own, report)
  const through = (crowd: Crowd | undefined): Report =>
    crowd === undefined ? report : (line, severity) => crowds.say(crowd, line, severity)
  return {
    report: (line, severity) => repeats.say(`line ${line}`, { line, severity }, report),
    repeat: (line, { topic, crowd, ...about }) => repeats.say(topic, { line, ...about }, through(crowd)),
    flap(name, again) {
      const flap = createFlap(own, name, again)
      return { set: (on, text, severity, crowd) => flap.set(on, text, severity, through(crowd)) }
    },
    settled: (callback) => void own.after(SETTLED, callback),
    close: cancel,
  }
}

/** A clock whose timers can all be ended. */
function cancellable(clock: Clock): { clock: Clock; cancel: () => void } {
  const timers = new Set<Timer>()
  const after = (milliseconds: number, callback: () => void): Timer => {
    const timer = clock.after(milliseconds, () => {
      timers.delete(timer)
      callback()
    })
    timers.add(timer)
    return {
      cancel() {
        timers.delete(timer)
        timer.cancel()
      },
    }
  }
  const cancel = (): void => {
    for (const timer of timers) timer.cancel()
    timers.clear()
  }
  return { clock: { now: () => clock.now(), defer: (callback) => clock.defer(callback), after }, cancel }
}
