import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** `blockbraid prove PAIR|VOLUME|PATH...` */
export async function prove(
  terminal: Terminal,
  options: RemoteOptions & { write?: string },
  names: readonly string[],
): Promise<void> {
  const { write } = options
  const request = { op: 'prove', devices: names.join('\n'), ...(write === undefined ? {} : { write }) } as const
  const result = await ask(terminal, options, request)
  if (result.result === 'different' && !options.json) throw new Error(result.text)
  print(terminal, options.json, result, ({ text, paths }) => [
    ...paths,
    result.result === 'equal' ? `${text}; --write OFFSET does` : text,
  ])
}
