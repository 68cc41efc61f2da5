import { UsageError } from '../terminal/terminal.ts'

/** Sends a command; what comes back may be an error status. */
export type Send<Command, Answer> = (command: Command) => Promise<Answer>

/** What somebody asked to be sent by hand, by one protocol. */
export interface HandRequest<Command, Answer> {
  /** For people and for `--json`: `vpd 0x83`. */
  readonly name: string
  /** Whether it is meant for each path, not for any. */
  readonly everyPath: boolean
  /** Sends what it takes, and gives the last answer. */
  run(send: Send<Command, Answer>): Promise<Answer>
  /** What a good answer says; undefined where there is nothing to say. Throws PROTOCOL. */
  decode(answer: Answer): Decoded | undefined
}

/** The meaning of an answer. */
export interface Decoded {
  /** For programs. */
  readonly value: unknown
  /** For people, in lines of `width` characters. */
  lines(width: number): readonly string[]
}

/** Throws a UsageError for words and options that a request does not take, out of all that its command knows. */
export function refuseRest<Option extends string>(
  form: string,
  words: readonly string[],
  options: { readonly [Name in Option]?: string },
  known: readonly Option[],
  taken: readonly Option[],
): void {
  if (words.length > 0) throw new UsageError(`${form} has no further words: "${words.join(' ')}" is too much`)
  for (const option of known) {
    if (options[option] !== undefined && !taken.includes(option)) throw new UsageError(`${form} takes no --${option}`)
  }
}

/** The key of a host for reservations, `0x` and hex digits. Throws a UsageError. */
export function parseKey(form: string, option: string, text: string | undefined): string {
  if (text === undefined) throw new UsageError(`${form} needs --${option} KEY, up to 16 hex digits`)
  const digits = text.replace(/^0x/i, '')
  if (/^[0-9a-f]{1,16}$/i.test(digits)) return `0x${digits}`
  throw new UsageError(`--${option} is "${text}": it must be up to 16 hex digits`)
}

/** The number of the type of a reservation by its name. Throws a UsageError. */
export function parseType(types: Readonly<Record<string, number>>, type: string): number {
  if (Object.hasOwn(types, type)) return types[type] as number
  throw new UsageError(`--type is "${type}": it must be one of ${Object.keys(types).join(', ')}`)
}

/** The name of a type of a reservation. */
export function typeName(types: Readonly<Record<string, number>>, type: number): string {
  const entry = Object.entries(types).find(([, code]) => code === type)
  return entry?.[0] ?? `type ${type}`
}

/** The same result, with a TypeError of those who build commands as one of the command line, where arguments come from. */
export function asUsage<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error
  }
}
