import { fstatSync } from 'node:fs'
import { main } from './program.ts'
import { openScreen } from './terminal/screen.ts'
import { watchLoop } from './watchdog/watchdog.ts'

/** Runs the command in this process: its arguments, streams and signals. */
export async function run(): Promise<void> {
  const interrupt = new AbortController()
  const onSignal = (): void => {
    if (interrupt.signal.aborted) process.exit(1)
    interrupt.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // The terminal was closed.
  process.on('SIGHUP', onSignal)
  // Whoever read our output has gone, such as head(1). An agent goes on: its clients have not.
  const [, , command] = process.argv
  process.stdout.on('error', () => {
    if (command !== 'up') process.exit(1)
  })
  process.stderr.on('error', () => {})
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY
  process.exitCode = await main(process.argv.slice(2), {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    journal: isJournal(process.env['JOURNAL_STREAM']),
    // Some terminals say 0. What is piped is read by programs: nothing is cut.
    columns: process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY,
    interactive: process.stdout.isTTY === true,
    env: process.env,
    folder: process.cwd(),
    nodeTransports: [
      { use: 'nbd', options: { kernel: true } },
      { use: 'ublk', options: {} },
    ],
    watchLoop,
    openScreen: isTerminal ? (events) => openScreen(process.stdin, process.stdout, events) : undefined,
    interrupted: interrupt.signal,
  })
  process.stdout.write('', () => process.exit())
}

/** Whether stderr is the stream that systemd names (systemd.exec(5)); it is told to children, whose stderr may be another. */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(2, { bigint: true })
  return stream === `${dev}:${ino}`
}
