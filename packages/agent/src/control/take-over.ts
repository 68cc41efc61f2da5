import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlockError, messageOf } from '@blockbraid/core'
import type { PairListing } from '../snapshot/listing.ts'
import { callControl } from './client.ts'
import { refuseForeign } from './path.ts'

/** How long an agent may take to leave its nodes, milliseconds. */
const LEAVE_TIME = 30_000
/** How long its process may take to end after that, milliseconds. */
const EXIT_TIME = 10_000
const STEP = 20

/** How to take over. */
export interface TakeOverOptions {
  readonly report: (line: string) => void
  /** Rejects where something that the agent serves cannot be served from here; then it is left alone. */
  readonly check: (served: readonly PairListing[]) => Promise<void>
  readonly signal: AbortSignal | undefined
}

/**
 * Has the agent at a control socket leave its kernel nodes and end, and waits until it has. Resolves to whether there was
 * one. Rejects with TIMED_OUT, or with what the agent says against it.
 */
export async function takeOver(path: string, { report, check, signal }: TakeOverOptions): Promise<boolean> {
  await refuseForeign(path)
  const pid = await pidOf(path, signal)
  if (pid === undefined) return false
  await check(await servedBy(path, pid, signal)).catch((error: unknown) => {
    if (!BlockError.is(error) || error.code === 'ABORTED') throw error
    const text = `the agent with pid ${pid} keeps what it serves: ${error.message}`
    throw new BlockError(error.code, text, { cause: error })
  })
  try {
    const left = await callControl(path, { op: 'hand-over' }, { timeout: LEAVE_TIME, signal })
    report(`the agent with pid ${pid} left ${left.nodes.length} kernel ${left.nodes.length === 1 ? 'node' : 'nodes'}`)
    for (const { name, node } of left.exports)
      report(`${name}: an export cannot be handed over: clients of ${node} have to reconnect`)
  } catch (error) {
    // It was about to end anyway.
    if (!isGone(error)) throw explain(path, pid, error)
  }
  await untilGone(pid, signal)
  return true
}

/** The pairs of the agent; none where it ends just now. */
async function servedBy(path: string, pid: number, signal: AbortSignal | undefined): Promise<readonly PairListing[]> {
  try {
    return (await callControl(path, { op: 'ls' }, { timeout: LEAVE_TIME, signal })).pairs
  } catch (error) {
    if (isGone(error)) return []
    throw explain(path, pid, error)
  }
}

function isGone(error: unknown): boolean {
  return BlockError.is(error) && (error.code === 'CLOSED' || error.code === 'CONNECT_FAILED')
}

async function pidOf(path: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  try {
    return (await callControl(path, { op: 'hello' }, { signal })).pid
  } catch (error) {
    if (BlockError.is(error) && error.code === 'NOT_FOUND') return undefined
    if (BlockError.is(error) && error.code === 'TIMED_OUT')
      throw new BlockError('TIMED_OUT', `cannot take over: ${error.message}; then run this again`, { cause: error })
    throw error
  }
}

function explain(path: string, pid: number, error: unknown): unknown {
  if (!BlockError.is(error) || error.code === 'ABORTED') return error
  const advice = `"kill ${pid}" ends it and leaves nodes that are in use, "kill -9 ${pid}" leaves all`
  return new BlockError(error.code, `the agent at ${path} does not hand over: ${messageOf(error)}; ${advice}`, {
    cause: error,
  })
}

async function untilGone(pid: number, signal: AbortSignal | undefined): Promise<void> {
  if (pid === process.pid) return
  for (let waited = 0; await isAlive(pid); waited += STEP) {
    if (waited >= EXIT_TIME) {
      const text = `the agent with pid ${pid} does not end within ${EXIT_TIME / 1000} s, though asked to`
      throw new BlockError('TIMED_OUT', `${text}: run "kill -9 ${pid}", then this again`)
    }
    await sleep(STEP, undefined, { signal })
  }
}

// A zombie holds nothing any more; its parent may let it stay for long.
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0]
  return state !== undefined && state !== 'Z' && state !== 'X'
}
