import type { ScsiAnswer, ScsiCommand } from '@blockbraid/target-iscsi'
import { UsageError } from '../terminal/terminal.ts'

/** Sends a command; what comes back may be an error status. */
export type Send = (command: ScsiCommand) => Promise<ScsiAnswer>

/** What `blockbraid scsi PAIR ...` was asked for. */
export interface ScsiRequest {
  /** For people and for `--json`: `vpd 0x83`. */
  readonly name: string
  /** Whether it is meant for each path, not for any: registrations belong to a path. */
  readonly everyPath: boolean
  /** Sends what it takes, and gives the last answer. */
  run(send: Send): Promise<ScsiAnswer>
  /** What the data of a good answer says; undefined where there is nothing to say. Throws PROTOCOL. */
  decode(data: Uint8Array): Decoded | undefined
}

/** The meaning of an answer. */
export interface Decoded {
  /** For programs. */
  readonly value: unknown
  /** For people, in lines of `width` characters. */
  lines(width: number): readonly string[]
}

/** Options of the command line that some requests take. */
export interface ScsiWords {
  readonly in?: string
  readonly out?: string
  readonly key?: string
  readonly type?: string
  readonly victim?: string
}

/** Throws a UsageError for words and options that a request does not take. */
export function refuseRest(
  form: string,
  words: readonly string[],
  options: ScsiWords,
  taken: readonly (keyof ScsiWords)[] = [],
): void {
  if (words.length > 0) throw new UsageError(`${form} has no further words: "${words.join(' ')}" is too much`)
  for (const option of ['in', 'out', 'key', 'type', 'victim'] as const) {
    if (options[option] !== undefined && !taken.includes(option)) throw new UsageError(`${form} takes no --${option}`)
  }
}

/** A request of one command. */
export function simple<Value>(
  name: string,
  command: ScsiCommand,
  decode: (data: Uint8Array) => Value,
  lines: (value: Value, width: number) => readonly string[],
): ScsiRequest {
  return growing(name, () => command, decode, lines)
}

/** A request of a command that is sent again with more room, where `needed` says that its answer was cut. */
export function growing<Value>(
  name: string,
  command: (length?: number) => ScsiCommand,
  decode: (data: Uint8Array) => Value,
  lines: (value: Value, width: number) => readonly string[],
  needed: (data: Uint8Array) => number = () => 0,
): ScsiRequest {
  return {
    name,
    everyPath: false,
    async run(send) {
      const first = command()
      const answer = await send(first)
      const length = answer.status === 0 ? needed(answer.data) : 0
      return length > (first.data as number) ? send(command(length)) : answer
    },
    decode(data) {
      const value = decode(data)
      return { value, lines: (width) => lines(value, width) }
    },
  }
}
