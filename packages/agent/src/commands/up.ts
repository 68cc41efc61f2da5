import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import { defaultControlPath } from '../control/path.ts'
import type { RunningAgent } from '../run.ts'
import { runAgent } from '../run.ts'
import type { Terminal } from '../terminal.ts'
import { print } from '../terminal.ts'

/** How long I/O in flight may take to end after the first signal before it is dropped, milliseconds. */
const DRAIN_TIME = 1000
/** After which nothing is waited for any more, milliseconds. */
const CLOSE_TIME = 1800

/** `blockbraid up CONFIG`: runs an agent until it is interrupted. */
export async function up(
  terminal: Terminal,
  options: { control?: string; json?: boolean },
  file: string,
): Promise<void> {
  const config = await loadConfig(resolve(terminal.folder, file), terminal.env)
  const control = resolve(terminal.folder, options.control ?? config.control ?? defaultControlPath(terminal.env))
  const { interrupted } = terminal
  const running = await runAgent(
    { ...config, control },
    { signal: interrupted, report: (line) => terminal.err(`blockbraid: ${line}`) },
  )
  try {
    const pairs = running.agent.pairs.map((pair) => ({ name: pair.id, node: pair.kernel.node }))
    print(terminal, options.json, { pid: process.pid, control, pairs }, () => [
      ...pairs.map(({ name, node }) => `${name}  ${node}`),
      `${pairs.length === 1 ? '1 pair is' : `${pairs.length} pairs are`} up; control socket ${control}; Ctrl-C ends it`,
    ])
    await untilAborted(interrupted)
  } finally {
    await closeInTime(running, terminal)
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done()
    // A signal alone keeps no process alive; with every path down nothing else may.
    const alive = setInterval(() => {}, 2 ** 30)
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      done()
    })
  })
}

async function closeInTime(running: RunningAgent, terminal: Terminal): Promise<void> {
  const drained = AbortSignal.timeout(DRAIN_TIME)
  const ended = running.close({ signal: drained }).catch((error: unknown) => {
    if (!drained.aborted) throw error
  })
  const noLimit = new AbortController()
  const limit = sleep(CLOSE_TIME, true, { signal: noLimit.signal }).catch(() => false)
  const tooLate = await Promise.race([ended, limit])
  noLimit.abort()
  if (tooLate) throw new Error(`could not end within ${CLOSE_TIME / 1000} s`)
  if (drained.aborted) terminal.err(`blockbraid: I/O that had not ended within ${DRAIN_TIME / 1000} s was dropped`)
}
