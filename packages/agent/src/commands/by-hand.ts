import { BlockError } from '@blockbraid/core'
import type { HandRequest } from '../by-hand/request.ts'
import { pathOf } from '../control/path-ids.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { toHex } from '../text/hex.ts'
import { printable } from '../text/table.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** Options of a command that sends others by hand. */
export interface ByHandOptions extends RemoteOptions {
  path?: string
}

/** How the commands of a protocol are sent and told of. */
export interface HandProtocol<Command, Answer> {
  /** Ids of paths that are known to speak another one. */
  readonly foreign: RegExp
  /** Has the agent send one; `path` is undefined where the agent may choose. */
  send(pair: string, path: string | undefined, command: Command): Promise<Answer>
  succeeded(answer: Answer): boolean
  /** Its status in words. */
  describe(answer: Answer): string
  /** What `--json` prints of it, beside the path, `value` and `text`. */
  fields(answer: Answer): { readonly status: number; readonly [field: string]: unknown }
}

/** How a request ended on a path; `path` is undefined where the agent chose one. */
interface Outcome<Answer> {
  readonly path: string | undefined
  readonly answer: Answer
}

/** Sends a request, and prints what it was answered; fails where the command did. */
export async function byHand<Command, Answer>(
  terminal: Terminal,
  options: ByHandOptions,
  pair: string,
  request: HandRequest<Command, Answer>,
  protocol: HandProtocol<Command, Answer>,
): Promise<void> {
  const outcomes: Outcome<Answer>[] = []
  for (const path of await pathsFor(terminal, options, pair, request.everyPath, protocol.foreign)) {
    outcomes.push({ path, answer: await request.run((command) => protocol.send(pair, path, command)) })
  }
  print(terminal, options.json, pair, request, protocol, outcomes)
  const failed = outcomes.filter(({ answer }) => !protocol.succeeded(answer))
  if (failed.length === 0) return
  throw new Error(
    failed.map((outcome) => `${nameOf(outcome, request)}: ${protocol.describe(outcome.answer)}`).join('; '),
  )
}

/** The paths to send a request through; undefined stands for any. */
async function pathsFor(
  terminal: Terminal,
  options: ByHandOptions,
  pair: string,
  everyPath: boolean,
  foreign: RegExp,
): Promise<(string | undefined)[]> {
  if (options.path === undefined && !everyPath) return [undefined]
  const { pairs } = await ask(terminal, options, { op: 'ls' })
  const found = pairs.find(({ name }) => name === pair)
  // The agent says best which pairs there are.
  if (found === undefined) return [options.path]
  if (options.path !== undefined) return [pathOf({ id: pair, paths: found.paths }, options.path)]
  const up = found.paths.filter(({ state }) => state === 'up').map(({ id }) => id)
  if (up.length === 0) throw new BlockError('NO_PATH', `no path of ${pair} is up`)
  const own = up.filter((id) => !foreign.test(id))
  // Where none is left the agent says what they speak.
  return own.length === 0 ? [undefined] : own
}

function print<Command, Answer>(
  terminal: Terminal,
  json: boolean | undefined,
  pair: string,
  request: HandRequest<Command, Answer>,
  protocol: HandProtocol<Command, Answer>,
  outcomes: readonly Outcome<Answer>[],
): void {
  if (json) {
    const results = outcomes.map((outcome) => resultOf(outcome, request, protocol))
    const value = request.everyPath
      ? { pair, request: request.name, paths: results }
      : { pair, request: request.name, ...results[0] }
    terminal.out(JSON.stringify(value, (_key, item) => (item instanceof Uint8Array ? toHex(item) : item), 2))
    return
  }
  for (const [index, outcome] of outcomes.entries()) {
    const { answer } = outcome
    if (!protocol.succeeded(answer)) continue
    const decoded = request.decode(answer)
    if (decoded === undefined) terminal.out(`${nameOf(outcome, request)}: done`)
    else {
      const lines = decoded.lines(terminal.columns)
      const title = outcomes.length > 1 ? [...(index > 0 ? [''] : []), printable(`${outcome.path}`)] : []
      terminal.out([...title, ...lines].join('\n'))
    }
  }
}

function resultOf<Command, Answer>(
  { path, answer }: Outcome<Answer>,
  request: HandRequest<Command, Answer>,
  protocol: HandProtocol<Command, Answer>,
): object {
  const { status, ...fields } = protocol.fields(answer)
  return {
    ...(path === undefined ? {} : { path }),
    status,
    text: protocol.describe(answer),
    ...fields,
    value: protocol.succeeded(answer) ? request.decode(answer)?.value : undefined,
  }
}

function nameOf({ path }: { readonly path: string | undefined }, { name }: { readonly name: string }): string {
  return path === undefined ? name : `${name} through ${path}`
}
