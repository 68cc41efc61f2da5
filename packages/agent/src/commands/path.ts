import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid path fail PAIR PATH` */
export async function failPath(terminal: Terminal, options: RemoteOptions, pair: string, part: string): Promise<void> {
  const { path } = await ask(terminal, options, { op: 'path-fail', pair, path: part })
  print(terminal, options.json, { pair, path, failed: true }, () => [
    `${pair}: ${path} takes no I/O until it is restored`,
  ])
}

/** `blockbraid path restore PAIR PATH` */
export async function restorePath(
  terminal: Terminal,
  options: RemoteOptions,
  pair: string,
  part: string,
): Promise<void> {
  const { path } = await ask(terminal, options, { op: 'path-restore', pair, path: part })
  print(terminal, options.json, { pair, path, restored: true }, () => [`${pair}: ${path} connects again`])
}
