import type { EndedByHand } from '../control/restore.ts'
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
  const { path, was, ended } = await ask(terminal, options, { op: 'path-restore', pair, path: part })
  const result = { pair, path, restored: true, ...(was === 'up' && { was }), ...(ended !== undefined && { ended }) }
  print(terminal, options.json, result, () => [`${pair}: ${path} ${restoredWords(was, ended)}`])
}

/** What was done for a path that was to be restored. */
export function restoredWords(was: string, ended: readonly EndedByHand[] = []): string {
  if (ended.length > 0) return `is up already; ${ended.map((what) => endings[what]).join(', and ')}`
  return was === 'up' ? 'is up already' : 'connects again'
}

const endings: Readonly<Record<EndedByHand, string>> = {
  probation: 'its probation is ended',
  demoted: 'it is no longer demoted',
  failback: 'I/O goes back to it',
}

/** `blockbraid path back PAIR` */
export async function failBack(terminal: Terminal, options: RemoteOptions, pair: string): Promise<void> {
  const { paths } = await ask(terminal, options, { op: 'fail-back', pair })
  print(terminal, options.json, { pair, paths }, () => [
    paths.length === 0
      ? `${pair}: I/O goes to its best paths already`
      : `${pair}: I/O goes back to ${paths.join(', ')}`,
  ])
}
