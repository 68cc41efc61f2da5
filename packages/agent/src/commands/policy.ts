import { resolve } from 'node:path'
import { isCollection, isScalar, parseDocument } from 'yaml'
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
  const given = option.length === 0 ? {} : { options: JSON.stringify(parseOptions(option)) }
  const { fault } = await ask(terminal, options, { op: 'policy', pair, use, ...given })
  const result = { pair, policy: name, ...(fault === undefined ? {} : { fault }) }
  if (fault === undefined || options.json) print(terminal, options.json, result, () => [`${pair} now uses ${name}`])
  if (fault !== undefined) throw new Error(`${pair} now uses ${name}, which fails: ${fault}`)
}

/** What is given more than once is a list. */
function parseOptions(texts: readonly string[]): Record<string, unknown> {
  const all = new Map<string, unknown[]>()
  for (const text of texts) {
    const [key, value] = parseOption(text)
    all.set(key, [...(all.get(key) ?? []), value])
  }
  return Object.fromEntries(Array.from(all, ([key, values]) => [key, values.length > 1 ? values : values[0]]))
}

/** `key=value`, with a value as YAML has it: a number, true or false, a whole list or mapping, else a text. */
function parseOption(text: string): [string, unknown] {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === '') throw new UsageError(`--option is "${text}"; it must be key=value, such as minIos=4`)
  const { contents, errors } = parseDocument(value)
  if (errors.length > 0) return [key, value]
  // An address such as [fd00::1]:3260 is a text, as is one with a colon and a blank.
  if (isCollection(contents) && /^\s*(\[.*\]|\{.*\})\s*$/s.test(value)) return [key, contents.toJSON()]
  return [key, isScalar(contents) ? (contents.value ?? value) : value]
}
