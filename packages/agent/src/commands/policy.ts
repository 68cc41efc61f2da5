import { resolve } from 'node:path'
import { isScalar, parseDocument } from 'yaml'
import type { Terminal } from '../terminal/terminal.ts'
import { print, UsageError } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** Options of `blockbraid policy`. */
export interface PolicyCommandOptions extends RemoteOptions {
  /** `key=value` each. */
  option?: readonly string[]
}

/** `blockbraid policy PAIR NAME`: fails where the policy does, though it was exchanged. */
export async function policy(
  terminal: Terminal,
  options: PolicyCommandOptions,
  pair: string,
  name: string,
): Promise<void> {
  const { option = [] } = options
  // A file is meant from here, not from the agent's folder.
  const use = /^\.{1,2}\//.test(name) ? resolve(terminal.folder, name) : name
  const given = option.length === 0 ? {} : { options: JSON.stringify(Object.fromEntries(option.map(parseOption))) }
  const { fault } = await ask(terminal, options, { op: 'policy', pair, use, ...given })
  const result = { pair, policy: name, ...(fault === undefined ? {} : { fault }) }
  if (fault === undefined || options.json) print(terminal, options.json, result, () => [`${pair} now uses ${name}`])
  if (fault !== undefined) throw new Error(`${pair} now uses ${name}, which fails: ${fault}`)
}

/** `key=value`, with a value as YAML has it: a number, true or false, else a text. */
function parseOption(text: string): [string, unknown] {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === '') throw new UsageError(`--option is "${text}"; it must be key=value, such as minIos=4`)
  const { contents, errors } = parseDocument(value)
  return [key, errors.length === 0 && isScalar(contents) ? (contents.value ?? value) : value]
}
