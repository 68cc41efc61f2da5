import type { SignalOptions } from './signal.ts'

/** Options of a command sent by hand. */
export interface CommandOptions extends SignalOptions {
  /** How long the answer may take, milliseconds. @defaultValue 30000 */
  timeout?: number
}

/** The same for a device, which has several paths. */
export interface DeviceCommandOptions extends CommandOptions {
  /** Id of the path to send it through, and no other; left out: the device chooses. */
  path?: string
}

/**
 * What an answer says of its command. `ran`: it was worked off, or refused for good; the answer is the caller's.
 * `again`: it did not run, and will if it is sent again on the same path. `elsewhere`: it did not run and never will
 * as it was sent; another path may take it.
 */
export type CommandVerdict = 'ran' | 'again' | 'elsewhere'

/**
 * The commands that a path takes beside its I/O, for whoever speaks its protocol. Core hands commands and answers on
 * and looks into neither: it sends a command to paths of its protocol only, sends it again and elsewhere, and guards
 * the data meanwhile, as the set says. So what the set says is what these promises rest on; a set that is in doubt says
 * that a command may not be repeated, and may change data.
 */
export interface CommandSet<Command = unknown, Answer = unknown> {
  /**
   * The protocol, such as `scsi` or `nvme`. All sets of one name take the same commands and give answers of the same
   * shape, whatever plugin they are of.
   */
  readonly protocol: string
  /**
   * Sends a command once, on this path; `data` is what to send with it, or how many bytes to receive at most. Whatever
   * the storage says is an answer, also an error status. Rejects with ABORTED when the signal fires and with TIMED_OUT
   * (it may have run); with IO_FAILED or CLOSED where the path ended first, so that it is not known whether it ran or
   * still may, up to the end of the path's `close()` (rule 9); with anything else only where it was not sent.
   */
  send(command: Command, data: Uint8Array | number, options: CommandOptions): Promise<Answer>
  /** What an answer says; throws for none, whatever the storage has sent. `again` is heeded a few times in a row. */
  verdict(answer: Answer): CommandVerdict
  /**
   * Whether a command may be sent again where it may have run: a second run must change nothing that the first has
   * not, nor undo what somebody else did in between.
   */
  mayRepeat(command: Command): boolean
  /** Whether a command may change data: a path that fails with one is fenced, and until then no change passes it. */
  mayChangeData(command: Command): boolean
  /** Whether a command, by its answer, has changed who may do what: paths that a reservation kept out are then tried. */
  changedReservations(command: Command, answer: Answer): boolean
}

/** Milliseconds; see {@link CommandOptions.timeout}. */
export const COMMAND_TIMEOUT = 30_000

// The longest delay that setTimeout keeps.
const LONGEST = 2 ** 31 - 1

/** Throws a TypeError that names a wrong option. */
export function checkCommandOptions({ timeout }: CommandOptions): void {
  if (timeout === undefined || (timeout >= 1 && timeout <= LONGEST)) return
  throw new TypeError(`timeout is ${timeout}; it must be 1 to ${LONGEST} milliseconds`)
}

/** A protocol in texts for people. */
export function protocolName(protocol: string): string {
  return protocol.toUpperCase()
}
