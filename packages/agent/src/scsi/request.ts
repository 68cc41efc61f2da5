import type { ScsiAnswer, ScsiCommand } from '@blockbraid/target-iscsi'
import type { HandRequest } from '../by-hand/request.ts'
import { refuseRest as refuse } from '../by-hand/request.ts'

/** What `blockbraid scsi PAIR ...` was asked for. Registrations belong to a path: they are meant for each. */
export type ScsiRequest = HandRequest<ScsiCommand, ScsiAnswer>

/** Options of the command line that some requests take. */
export interface ScsiWords {
  readonly in?: string
  readonly out?: string
  readonly key?: string
  readonly type?: string
  readonly victim?: string
}

const known = ['in', 'out', 'key', 'type', 'victim'] as const

/** Throws a UsageError for words and options that a request does not take. */
export function refuseRest(
  form: string,
  words: readonly string[],
  options: ScsiWords,
  taken: readonly (keyof ScsiWords)[] = [],
): void {
  refuse(form, words, options, known, taken)
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
    decode({ data }) {
      const value = decode(data)
      return { value, lines: (width) => lines(value, width) }
    },
  }
}
