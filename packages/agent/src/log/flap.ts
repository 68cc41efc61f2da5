import type { Clock, Timer } from '@blockbraid/core'
import { WINDOW } from './repeats.ts'
import type { Report, Severity } from './report.ts'

/** Something that begins and ends, perhaps again and again: a stall, a path that is down. */
export interface Flap {
  /** It has begun, or ended: `text` says so, and `severity` how bad that is. */
  set(on: boolean, text: string, severity: Severity | undefined, report: Report): void
}

// How long a change must stand before it is told in the midst of many, milliseconds; each time it is told, twice as long.
const SETTLE = 5000

/**
 * Says the first beginning and the first end at once. When it goes on like that, it says once a minute how often, and
 * sooner when it stays as it is. `again` is how both are called together, such as `stalled and resumed`.
 */
export function createFlap(clock: Clock, name: string, again: string): Flap {
  let on = false
  let told = false
  let text = ''
  let severity: Severity | undefined
  let report: Report = () => {}
  /** Lines that may still be said at once. */
  let free = 2
  let begun = 0
  let since = 0
  let settle = SETTLE
  let settled: Timer | undefined
  let quiet: Timer | undefined

  const say = (line: string): void => {
    told = on
    begun = 0
    since = clock.now()
    settled?.cancel()
    settled = undefined
    quiet?.cancel()
    quiet = clock.after(WINDOW, onQuiet)
    report(line, severity)
  }
  const summarize = (): void => {
    const seconds = Math.max(1, Math.round((clock.now() - since) / 1e6))
    const times = begun === 1 ? 'once more' : `${begun} times`
    if (begun === 0) say(`${name}: ${text}`)
    else say(`${name}: ${again} ${times} in the last ${seconds} s; now: ${text}`)
  }
  const onQuiet = (): void => {
    quiet = undefined
    if (begun > 0 || told !== on) return summarize()
    free = on ? 1 : 2
    settle = SETTLE
  }
  const onSettled = (): void => {
    settled = undefined
    if (told === on) return
    settle = Math.min(settle * 2, WINDOW)
    summarize()
  }

  return {
    set(isOn, newText, newSeverity, newReport) {
      on = isOn
      text = newText
      severity = newSeverity
      report = newReport
      if (free > 0) {
        free--
        return say(`${name}: ${text}`)
      }
      if (on) begun++
      settled?.cancel()
      settled = clock.after(settle, onSettled)
    },
  }
}
