import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid pair NAME`: makes a pair again that was taken down, lost, or could not be made. */
export async function pairAgain(terminal: Terminal, options: RemoteOptions, pair: string): Promise<void> {
  const { node } = await ask(terminal, options, { op: 'pair', pair })
  print(terminal, options.json, { pair, node }, () => [`${pair} is up: ${node}`])
}
