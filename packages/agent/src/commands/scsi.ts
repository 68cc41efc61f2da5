import { BlockError } from '@blockbraid/core'
import type { ScsiAnswer, ScsiCommand } from '@blockbraid/target-iscsi'
import { pathOf } from '../control/path-ids.ts'
import { parseHex, toHex } from '../control/scsi.ts'
import type { ScsiRequest, ScsiWords } from '../scsi/request.ts'
import { parseRequest } from '../scsi/requests.ts'
import { describeAnswer, succeeded } from '../scsi/status.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** Options of `blockbraid scsi`. */
export interface ScsiCommandOptions extends RemoteOptions, ScsiWords {
  path?: string
}

/** How the request ended on a path; `path` is undefined where the agent chose one. */
interface Outcome {
  readonly path: string | undefined
  readonly answer: ScsiAnswer
}

/** `blockbraid scsi PAIR REQUEST...`: prints what a SCSI command was answered; fails where the command did. */
export async function scsi(
  terminal: Terminal,
  options: ScsiCommandOptions,
  pair: string,
  words: readonly string[],
): Promise<void> {
  const request = parseRequest(words, options)
  const paths = await pathsFor(terminal, options, pair, request)
  const outcomes: Outcome[] = []
  for (const path of paths) {
    const send = (command: ScsiCommand): Promise<ScsiAnswer> => sendCommand(terminal, options, pair, path, command)
    outcomes.push({ path, answer: await request.run(send) })
  }
  print(terminal, options.json, pair, request, outcomes)
  const failed = outcomes.filter(({ answer }) => !succeeded(answer))
  if (failed.length === 0) return
  throw new Error(failed.map((outcome) => `${nameOf(outcome, request)}: ${describeAnswer(outcome.answer)}`).join('; '))
}

/** The paths to send a request through; undefined stands for any. */
async function pathsFor(
  terminal: Terminal,
  options: ScsiCommandOptions,
  pair: string,
  request: ScsiRequest,
): Promise<(string | undefined)[]> {
  if (options.path === undefined && !request.everyPath) return [undefined]
  const { pairs } = await ask(terminal, options, { op: 'ls' })
  const found = pairs.find(({ name }) => name === pair)
  // The agent says best which pairs there are.
  if (found === undefined) return [options.path]
  if (options.path !== undefined) return [pathOf({ id: pair, paths: found.paths }, options.path)]
  const up = found.paths.filter(({ state }) => state === 'up').map(({ id }) => id)
  if (up.length === 0) throw new BlockError('NO_PATH', `no path of ${pair} is up`)
  return up
}

async function sendCommand(
  terminal: Terminal,
  options: ScsiCommandOptions,
  pair: string,
  path: string | undefined,
  { cdb, data }: ScsiCommand,
): Promise<ScsiAnswer> {
  const result = await ask(terminal, options, {
    op: 'scsi',
    pair,
    cdb: toHex(cdb),
    ...(typeof data === 'number' ? { in: String(data) } : { out: toHex(data) }),
    ...(path === undefined ? {} : { path }),
  })
  const { status, residual } = result
  return { status, residual, sense: parseHex('sense', result.sense), data: parseHex('data', result.data) }
}

function print(
  terminal: Terminal,
  json: boolean | undefined,
  pair: string,
  request: ScsiRequest,
  outcomes: readonly Outcome[],
): void {
  if (json) {
    const results = outcomes.map((outcome) => resultOf(outcome, request))
    const value = request.everyPath
      ? { pair, request: request.name, paths: results }
      : { pair, request: request.name, ...results[0] }
    terminal.out(JSON.stringify(value, (_key, item) => (item instanceof Uint8Array ? toHex(item) : item), 2))
    return
  }
  for (const outcome of outcomes) {
    const { answer } = outcome
    if (!succeeded(answer)) continue
    const decoded = request.decode(answer.data)
    terminal.out(
      decoded === undefined ? `${nameOf(outcome, request)}: done` : decoded.lines(terminal.columns).join('\n'),
    )
  }
}

function resultOf({ path, answer }: Outcome, request: ScsiRequest): object {
  const { status, sense, data, residual } = answer
  const good = succeeded(answer)
  return {
    ...(path === undefined ? {} : { path }),
    status,
    text: describeAnswer(answer),
    sense,
    residual,
    data,
    value: good ? request.decode(data)?.value : undefined,
  }
}

function nameOf({ path }: Outcome, { name }: ScsiRequest): string {
  return path === undefined ? name : `${name} through ${path}`
}
