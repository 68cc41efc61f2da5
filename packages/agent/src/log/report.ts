/** How bad a line of the log is; `info` is what ends well, or is as it should be. */
export type Severity = 'error' | 'warning' | 'info'

/** Takes a line for people. Without a severity it is the answer to what somebody has just done. */
export type Report = (line: string, severity?: Severity) => void

// As journald reads them from the beginning of a line (sd-daemon(3)).
const PRIORITIES = { error: '<3>', warning: '<4>', info: '<6>' } as const

/** A line of the log as it is printed: with time and severity, or with the priority for a journal that has its own time. */
export function formatLine(line: string, severity: Severity | undefined, date: Date, journal: boolean): string {
  if (severity === undefined) return `blockbraid: ${line}`
  if (journal) return `${PRIORITIES[severity]}blockbraid: ${line}`
  return `blockbraid: ${date.toISOString()} ${severity}: ${line}`
}
