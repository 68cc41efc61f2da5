import type { PluginUse } from '../config/config.ts'
import type { Screen, ScreenEvents } from './screen.ts'

/** What a command sees of the world: given by the bin, or by a test. */
export interface Terminal {
  /** Prints lines for people or JSON for programs on stdout. */
  out(text: string): void
  /** Prints a line on stderr. */
  err(text: string): void
  /** Whether stderr is read by systemd's journal, which has the time of each line itself. @defaultValue false */
  readonly journal?: boolean
  /** Characters a line may have; Infinity where stdout is no terminal. */
  readonly columns: number
  /** Whether stdout is looked at by a person, and can be drawn over. */
  readonly interactive: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Working directory, absolute. */
  readonly folder: string
  /** Transports that make kernel nodes on this host, to list and remove them without an agent. */
  readonly nodeTransports: readonly PluginUse[]
  /**
   * Watches the event loop of this process, and tells on stderr when it stands still; no line shows a secret that
   * stands in `secrets`. Returns what ends it. Left out where the process belongs to somebody else.
   */
  readonly watchLoop?: (secrets: unknown) => () => void
  /** Takes the terminal over, to draw on all of it and to get its keys. Left out where it is none. */
  readonly openScreen?: ((events: ScreenEvents) => Screen) | undefined
  /** Fires on the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal
}

/** Wrong usage of the command: ends it with exit code 2. */
export class UsageError extends Error {}

/** Prints `value` as JSON, or the lines that `format` makes of it. */
export function print<Value>(
  terminal: Terminal,
  json: boolean | undefined,
  value: Value,
  format: (value: Value) => readonly string[],
): void {
  terminal.out(json ? JSON.stringify(value, null, 2) : format(value).join('\n'))
}
