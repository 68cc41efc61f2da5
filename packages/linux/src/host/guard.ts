import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { helperEnvironment } from './environment.ts'

/** A node under guard. */
export interface Guarded {
  /** Ends the guard of this node: it is gone, or another process serves it. */
  forget(): void
}

interface Guard {
  child: ChildProcess
  /** Limit and entry of each node. */
  readonly nodes: Set<string>
}

/** Milliseconds until a guard that has died is started again. */
const RESTART = 1000

// One guard per script, for all nodes of this process.
const guards = new Map<string, Guard>()

/**
 * Has a process of its own watch over a kernel node: when this process ends without a word, the guard waits
 * `limit` milliseconds and then calls what `script` gave to {@link runGuard}, with `entry` (one line). All
 * nodes of this process share one guard per script; it ends with the last of them, or with its work.
 */
export function guardNode(script: URL, entry: string, limit: number): Guarded {
  const file = fileURLToPath(script)
  const guard = guards.get(file) ?? startGuard(file, new Set())
  const node = `${limit} ${entry}`
  guard.nodes.add(node)
  tell(guard, 'watch', node)
  return {
    forget() {
      if (!guard.nodes.delete(node)) return
      tell(guard, 'forget', node)
      if (guard.nodes.size > 0) return
      guards.delete(file)
      guard.child.stdin?.end()
    },
  }
}

function tell({ child }: Guard, word: 'watch' | 'forget', node: string): void {
  child.stdin?.write(`${word} ${node}\n`)
}

function startGuard(file: string, nodes: Set<string>): Guard {
  // A session of its own: an interrupt at the terminal must not take both.
  const child = spawn(process.execPath, ['--max-old-space-size=32', file], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: helperEnvironment(),
  })
  const guard = guards.get(file) ?? { child, nodes }
  guard.child = child
  guards.set(file, guard)
  // Killed for want of memory, say: without it, I/O waits for ever once this process is killed too.
  const restart = (): void => {
    setTimeout(() => {
      if (guards.get(file) === guard && guard.child === child) startGuard(file, nodes)
    }, RESTART).unref()
  }
  child.on('error', restart)
  child.on('exit', restart)
  child.stdin.on('error', () => {})
  child.unref()
  ;(child.stdin as unknown as { unref(): void }).unref()
  for (const node of nodes) tell(guard, 'watch', node)
  return guard
}

/**
 * Main of a guard's script. `remove` must first make sure that no other process has taken the node over;
 * it is tried again every second until it does not reject, one minute at most.
 */
export async function runGuard(remove: (entry: string) => Promise<void>): Promise<void> {
  // Only the end of our owner ends us.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const limits = new Map<string, number>()
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, limit, ...rest] = line.split(' ')
    const entry = rest.join(' ')
    if (word === 'watch') limits.set(entry, Number(limit))
    else limits.delete(entry)
  }
  await Promise.all(Array.from(limits, ([entry, limit]) => removeAfter(limit, entry, remove)))
}

async function removeAfter(limit: number, entry: string, remove: (entry: string) => Promise<void>): Promise<void> {
  await sleep(limit)
  for (let tries = 0; tries < 60; tries++) {
    try {
      await remove(entry)
      return
    } catch {
      await sleep(1000)
    }
  }
}
