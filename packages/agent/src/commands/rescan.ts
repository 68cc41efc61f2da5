import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import { formatSize } from '../text/amounts.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid rescan` */
export async function rescan(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const result = await ask(terminal, options, { op: 'rescan' })
  print(terminal, options.json, result, ({ added, removed, paired, resized = [], notes = [] }) => {
    const lines = [
      ...added.map((path) => `new path: ${path}`),
      ...removed.map((path) => `gone path: ${path}`),
      ...paired.map((pair) => `new pair: ${pair}`),
      ...resized.map(({ name, before, size }) => `${name}: ${formatSize(before)} -> ${formatSize(size)}`),
    ]
    return [...(lines.length > 0 ? lines : ['nothing changed']), ...notes]
  })
  if (result.errors.length > 0) throw new Error(result.errors.join('; '))
}
