// A write that the array still executes for an agent that has gone must not undo what the next agent acknowledges.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until, within } from '../guest/wait.ts'
import type { AgentProcess, Agents } from './agents.ts'
import { agentsOf, nodesOf, takenOver } from './agents.ts'
import type { ArrayProcess } from './array.ts'
import { startArrayOf } from './array.ts'
import { kind } from './bed.ts'
import type { Running } from './tools.ts'
import { start } from './tools.ts'

const long = { timeout: 300_000 }
const BLOCK = 4096
const OLD = '/run/old'
const NEW = '/run/new'
/** Milliseconds in which a write that nothing holds is done, what the kernel sends again included. */
const SOON = 6000
const transport = kind === 'nbd' ? { resendInterval: 1000 } : {}
/** Number of the portal that is preferred. */
const PREFERRED = 1

/** Writes one block past the page cache, and makes it durable. */
function write(file: string, node: string): Running {
  return start('dd', [`if=${file}`, `of=${node}`, `bs=${BLOCK}`, 'seek=1', 'oflag=direct', 'conv=notrunc,fsync'])
}

/** An application writes, and the array takes its time for that. */
async function beginSlowWrite(node: string, array: ArrayProcess): Promise<Running> {
  await array.hold()
  for (;;) {
    const old = write(OLD, node)
    let over = false
    void old.ended.finally(() => (over = true))
    await until('the write is done or takes its time', async () => over || (await array.begun()))
    if (await array.begun()) return old
    // The path that is preferred is not up yet.
    await old.done
  }
}

/** One agent follows the other while the array executes a write of the first; an application writes on, and waits. */
async function takeOver(
  first: (agents: Agents) => Promise<AgentProcess>,
  next: (agents: Agents, agent: AgentProcess, array: ArrayProcess) => Promise<AgentProcess>,
): Promise<void> {
  await writeFile(OLD, Buffer.alloc(BLOCK, 'O'))
  await writeFile(NEW, Buffer.alloc(BLOCK, 'N'))
  await using array = await startArrayOf({ volumes: [{ size: '16MiB' }], slow: true })
  await using agents = agentsOf(array, { transport })
  const before = await first(agents)
  const [node] = nodesOf(before)
  const old = await beginSlowWrite(node, array)
  const written = old.done.then(() => write(NEW, node).done)
  written.catch(() => {})
  const after = await next(agents, before, array)
  assert.deepEqual(takenOver(after), [node], after.said)
  const early = await Promise.race([written.then(() => 'acknowledged'), sleep(SOON, 'waits')])
  await array.wake(PREFERRED)
  await array.letGo()
  await within('the application goes on', written)
  const stored = await array.peek(0, BLOCK, BLOCK)
  assert.deepEqual([...new Set(stored.toString('latin1'))], ['N'])
  assert.equal(early, 'waits')
  await after.end('SIGTERM')
}

test('a write that the array executes for an agent that was killed does not undo what the next one writes', long, () =>
  takeOver(
    (agents) => agents.up(),
    async (agents, agent) => {
      await agent.end('SIGKILL')
      return agents.up()
    },
  ),
)

test('nor one of an agent that hands its node over, asked by up --take-over', long, () =>
  takeOver(
    (agents) => agents.up(),
    async (agents, agent) => {
      const next = await agents.up('--take-over')
      assert.equal(await within('the old agent ends', agent.ended), 0, agent.said)
      return next
    },
  ),
)

test('nor one that went through a portal that is silent for the next agent, and wakes later', long, () =>
  takeOver(
    (agents) => agents.up(),
    async (agents, agent, array) => {
      await array.silence(PREFERRED)
      await agent.end('SIGKILL')
      return agents.up()
    },
  ),
)
