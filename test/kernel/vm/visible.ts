import type { VmEnd, VmOptions } from './machine.ts'
import { runInVm } from './machine.ts'

/** What of {@link VmOptions} is left to say, where the run is shown on this process's own output. */
export interface VisibleOptions extends Omit<VmOptions, 'onOutput' | 'onConsole' | 'signal'> {
  /** Whether what the kernel says is shown on stderr. */
  readonly console: boolean
}

/** How it ended, and the exit code for this process: 124 time-out, 125 the machine failed, 126 the kernel complained. */
export interface VisibleEnd extends VmEnd {
  readonly code: number
}

const TIMED_OUT = 124
/** Exit code where the machine failed. */
export const MACHINE_FAILED = 125
const KERNEL_COMPLAINED = 126

/** Runs a command in a machine, its output going where this process's goes. An interrupt ends both. */
export async function runVisibly({ console: showConsole, ...options }: VisibleOptions): Promise<VisibleEnd> {
  const off = new AbortController()
  const interrupt = (): void => off.abort()
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  const end = await runInVm({
    ...options,
    signal: off.signal,
    onOutput: (stream, chunk) => process[stream].write(chunk),
    ...(showConsole && { onConsole: (chunk) => process.stderr.write(chunk) }),
  }).finally(() => process.off('SIGINT', interrupt).off('SIGTERM', interrupt))
  for (const fault of end.faults) console.error(`vm: the kernel says: ${fault}`)
  if (end.code !== undefined) return { ...end, code: end.code || (end.faults.length > 0 ? KERNEL_COMPLAINED : 0) }
  console.error(`vm: ${end.reason}`)
  if (!showConsole) console.error(end.console.split('\n').slice(-25).join('\n'))
  return { ...end, code: end.reason.startsWith('it took longer') ? TIMED_OUT : MACHINE_FAILED }
}

const passedOn = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'CI', 'USER', 'NODE_ENV', 'NODE_OPTIONS', 'NODE_PATH']

/** The part of this process's environment that a command in a machine gets. */
export function inherited(): Record<string, string> {
  const pairs = passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  return { ...Object.fromEntries(pairs), TERM: 'dumb' }
}
