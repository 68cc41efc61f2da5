import type { DemoResult } from '../demo/demo.ts'
import { runDemo } from '../demo/demo.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { formatTable } from '../text/table.ts'

const columns = [
  { title: 'pair' },
  { title: 'path', elastic: true },
  { title: 'I/Os', align: 'right' },
  { title: 'moved', align: 'right' },
  { title: 'now' },
  { title: 'what happened' },
] as const

/** `blockbraid demo`: fails unless every byte was verified. */
export async function demo(terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const say = options.json ? (): void => {} : (text: string): void => terminal.out(text)
  say('blockbraid demo: storage paths fail while programs write, and no byte is lost\n')
  const result = await runDemo(
    {
      exported(exports) {
        say('1. A simulated array offers 2 volumes of 64 MiB through each of its 4 ports.')
        say('   The 4 paths to a volume are joined into one device, exported over NBD:\n')
        for (const { name, uri } of exports) say(`     ${name}  ${uri}`)
      },
      loading(program) {
        say(`\n2. ${program} writes every block in random order, then reads each back`)
        say('   and checks it. Meanwhile:\n')
      },
      happened: (seconds, text) => say(`     ${seconds.toFixed(1).padStart(4)} s  ${text}`),
    },
    terminal.interrupted,
  )
  if (options.json) terminal.out(JSON.stringify(result, null, 2))
  else say(formatResult(result, terminal.columns).join('\n'))
  if (!result.ok) throw new Error('the demo failed: not everything was verified')
}

function formatResult({ paths, checks, ok, seconds }: DemoResult, width: number): string[] {
  const rows = paths.map(({ pair, path, ios, moved, state, story }) => [
    pair,
    path,
    String(ios),
    String(moved),
    state,
    story,
  ])
  return [
    '\n3. What the paths did. An I/O that a path failed to end moved to another:\n',
    ...formatTable(columns, rows, width - 3).map((line) => `   ${line}`),
    '\n4. Checked:\n',
    ...checks.map((check) => `   ${check.ok ? 'ok  ' : 'BAD '} ${check.text}`),
    `\n${ok ? 'Every byte is right' : 'SOMETHING IS WRONG'}, after ${seconds.toFixed(1)} s.`,
  ]
}
