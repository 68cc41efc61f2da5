import { formatWhy } from '../format/why.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid why PAIR`: what is wrong with it, and its last failovers as time lines. */
export async function why(terminal: Terminal, options: RemoteOptions, pair: string): Promise<void> {
  const told = await ask(terminal, options, { op: 'why', pair })
  print(terminal, options.json, told, (value) => formatWhy(value, terminal.columns))
}
