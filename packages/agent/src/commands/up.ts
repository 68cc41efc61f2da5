import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runAgent } from '../agent/run.ts'
import type { RunningAgent } from '../agent/running-agent.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { defaultControlPath } from '../control/path.ts'
import { strangerAt } from '../files/strangers.ts'
import type { Report } from '../log/report.ts'
import { formatLine } from '../log/report.ts'
import { isKernelNode } from '../nodes/kernel-node.ts'
import { tellReady } from '../nodes/ready.ts'
import { defaultStateFolder } from '../state/folder.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import { untilAborted } from '../terminal/until-aborted.ts'

/** Options of `blockbraid up`. */
export interface UpOptions {
  control?: string
  json?: boolean
  takeOver?: boolean
}

/** How long I/O in flight may take to end after the first signal before it is dropped, milliseconds. */
const DRAIN_TIME = 1000
/** After which nothing is waited for any more, milliseconds. */
const CLOSE_TIME = 1800
/** The same where the kernel has nodes to remove: it is not cut short in the middle of that. */
const NODES_CLOSE_TIME = 20_000

/** `blockbraid up CONFIG`: runs an agent until it is interrupted, or until another one takes over. */
export async function up(terminal: Terminal, options: UpOptions, file: string): Promise<void> {
  const report: Report = (line, severity) =>
    terminal.err(formatLine(line, severity, new Date(), terminal.journal === true))
  const path = resolve(terminal.folder, file)
  const config = await loadConfig(path, terminal.env, report)
  const stranger = await strangerAt(path)
  if (stranger !== undefined)
    report(`${path}: ${stranger.what}, so that others decide what it says; "${stranger.cure}"`, 'warning')
  const control = resolve(terminal.folder, options.control ?? config.control ?? defaultControlPath(terminal.env))
  // Before the first plugin is loaded: its module may already hang.
  const unwatch = terminal.watchLoop?.([config.targets, config.devices])
  try {
    const state = resolve(terminal.folder, config.state || defaultStateFolder(terminal.env))
    await serve(terminal, options, { ...config, control, state }, report)
  } finally {
    unwatch?.()
  }
}

async function serve(
  terminal: Terminal,
  options: UpOptions,
  config: Config & { control: string },
  report: Report,
): Promise<void> {
  const { control } = config
  const handedOver = new AbortController()
  const running = await runAgent(config, {
    signal: terminal.interrupted,
    report,
    takeOver: options.takeOver ?? false,
    onHandedOver: () => handedOver.abort(),
  })
  try {
    const pairs = running.agent.pairs.map(({ id, kernel: { node, tookOver = false } }) => ({
      name: id,
      node,
      tookOver,
    }))
    const count = `${pairs.length === 1 ? '1 pair is' : `${pairs.length} pairs are`} up`
    print(terminal, options.json, { pid: process.pid, control, pairs }, () => [
      ...pairs.map(({ name, node, tookOver }) => `${name}  ${node}${tookOver ? '  (taken over)' : ''}`),
      `${count}; control socket ${control}; Ctrl-C ends it`,
    ])
    await tellReady(terminal.env, count, report)
    await untilAborted(AbortSignal.any([terminal.interrupted, handedOver.signal]))
    if (handedOver.signal.aborted) report('another agent took over')
  } finally {
    await closeInTime(running, report)
  }
}

async function closeInTime(running: RunningAgent, report: Report): Promise<void> {
  const nodes = running.agent.pairs.filter(({ kernel }) => isKernelNode(kernel.node)).length
  const dropsIo = nodes < running.agent.pairs.length
  const closeTime = nodes > 0 ? NODES_CLOSE_TIME : CLOSE_TIME
  const drained = AbortSignal.timeout(DRAIN_TIME)
  const ended = running.close({ signal: drained }).catch((error: unknown) => {
    if (!drained.aborted) throw error
  })
  const noLimit = new AbortController()
  const limit = sleep(closeTime, true, { signal: noLimit.signal }).catch(() => false)
  const tooLate = await Promise.race([ended, limit])
  noLimit.abort()
  if (tooLate) throw new Error(`could not end within ${closeTime / 1000} s`)
  if (drained.aborted && dropsIo) report(`I/O that had not ended within ${DRAIN_TIME / 1000} s was dropped`)
}
