import { describeGuard, formatGuards } from '../format/guards.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print, UsageError } from '../terminal/terminal.ts'
import { wrap } from '../text/facts.ts'
import type { RemoteOptions } from './ask.ts'
import { ask, notUp } from './ask.ts'

/** Options of `blockbraid guards`. */
export interface GuardsOptions extends RemoteOptions {
  release?: boolean
}

/** `blockbraid guards [PAIR]`: shows ranges in which something may still land; with `--release` lets I/O there go. */
export async function guards(terminal: Terminal, options: GuardsOptions, name: string | undefined): Promise<void> {
  if (options.release) return release(terminal, options, name)
  const listing = await ask(terminal, options, { op: 'ls' })
  const { pairs } = listing
  const meant = name === undefined ? pairs : pairs.filter((pair) => pair.name === name)
  if (name !== undefined && meant.length === 0) throw notUp(name, listing)
  const result = { pairs: meant.map((pair) => ({ name: pair.name, volume: pair.volume, guards: pair.guards ?? [] })) }
  print(terminal, options.json, result, (value) => formatGuards(value.pairs, terminal.columns, Date.now()))
}

async function release(terminal: Terminal, options: GuardsOptions, name: string | undefined): Promise<void> {
  if (name === undefined) throw new UsageError('guards --release needs the name of a pair')
  const result = await ask(terminal, options, { op: 'release-guards', pair: name })
  print(terminal, options.json, result, ({ pair, released }) => {
    if (released.length === 0) return [`nothing of ${pair} was guarded`]
    return [
      `${pair}: I/O to these ranges goes on:`,
      ...released.flatMap((guard) => describeGuard(guard, terminal.columns - 2, Date.now()).map((line) => `  ${line}`)),
      ...wrap(
        'Should one of those writes land all the same, it overwrites newer data, and nobody is told.',
        terminal.columns,
      ),
    ]
  })
}
