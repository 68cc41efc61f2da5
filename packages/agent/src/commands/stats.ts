import { formatStats } from '../format/stats.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid stats` */
export async function stats(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const counted = await ask(terminal, options, { op: 'stats' })
  print(terminal, options.json, counted, (value) => formatStats(value, terminal.columns))
}
