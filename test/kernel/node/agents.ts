// Agents on one array, each a process that can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BlockError } from '@blockbraid/core'
import { within } from '../guest/wait.ts'
import type { ArrayNews } from './array-process.ts'
import { createTransport, transportConfig } from './bed.ts'
import { tool } from './tools.ts'

/** The `blockbraid` command. */
export const command: string = join(import.meta.dirname, '../../../packages/agent/dist/cli.js')
const host = join(import.meta.dirname, 'host-process.ts')
const folder = '/run/agents'
/** Control socket of `blockbraid up`. */
export const control: string = join(folder, 'control.sock')
// Node compiles them once and not at each start.
const env = { ...process.env, NODE_COMPILE_CACHE: '/run/compiled' }
/** Milliseconds for a start: the machine is emulated, and its host may be busy. */
const START_LIMIT = 120_000
const patient = { keepAliveTimeout: 30_000, loginTimeout: 60_000, taskTimeout: 30_000 }

/** What a config file holds. */
export interface AgentConfig {
  readonly control: string
  readonly initiator: string
  readonly targets: readonly [{ readonly use: string; readonly portals: readonly string[]; readonly target: string }]
  readonly devices: readonly {
    readonly volume: string
    readonly name: string
    readonly transport: Readonly<Record<string, unknown>>
    readonly multipath: Readonly<Record<string, number>>
  }[]
}

/** A pair, as `blockbraid up --json` tells it. */
export interface PairNews {
  readonly name: string
  readonly node: string
  readonly tookOver: boolean
}

/** An agent that is up. */
export interface AgentProcess {
  readonly pid: number
  readonly pairs: readonly PairNews[]
  /** What it has said on its standard error. */
  readonly said: string
  /** Exit code, or name of the signal. */
  readonly ended: Promise<number | string>
  /** Sends a signal; resolves when the process is no more. */
  end(signal: NodeJS.Signals): Promise<number | string>
}

/** What agents on one array are started with. */
export interface AgentsOptions {
  /** Of the transport. */
  readonly transport?: Readonly<Record<string, unknown>>
  readonly multipath?: Readonly<Record<string, number>>
  /** Which volume has which name; every volume, `vol-0` and up, where left out. */
  readonly names?: Readonly<Record<string, string>>
  /** Milliseconds that a start may take. */
  readonly limit?: number
}

/** Agents, one after the other, with the same config. Disposing of it kills them and forces every node away. */
export interface Agents extends AsyncDisposable {
  /** Starts one that is made for tests and starts soon; resolves when its pairs are up. */
  start(): Promise<AgentProcess>
  /** Starts `blockbraid up`; resolves when its pairs are up. */
  up(...options: readonly string[]): Promise<AgentProcess>
  /** Runs another command of `blockbraid`; resolves to what it printed. */
  run(...args: readonly string[]): Promise<string>
}

/** Makes the config. */
export function agentsOf(
  array: ArrayNews,
  { transport, multipath, names = { '*': 'vol-{n}' }, limit = START_LIMIT }: AgentsOptions = {},
): Agents {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'blockbraid.yaml')
  const config: AgentConfig = {
    control,
    initiator: 'iqn.2026-11.io.blockbraid.test:host',
    targets: [{ use: 'iscsi', portals: array.portals, target: array.name, ...patient }],
    devices: Object.entries(names).map(([volume, name]) => ({
      volume,
      name,
      transport: { ...transportConfig, takeOverTimeout: 240_000, ...transport },
      multipath: { reconnectDelayMax: 500, connectTimeout: 60_000, noPathTimeout: 120_000, ...multipath },
    })),
  }
  const running = new Set<AgentProcess>()
  const start = async (...args: readonly string[]): Promise<AgentProcess> => {
    const agent = await startAgent(args, limit)
    running.add(agent)
    void agent.ended.then(() => running.delete(agent))
    return agent
  }
  return {
    start: () => start(host, JSON.stringify(config)),
    up(...options) {
      // JSON is YAML.
      writeFileSync(file, JSON.stringify(config))
      return start(command, 'up', file, '--json', ...options)
    },
    run: (...args) => tool(process.execPath, command, ...args),
    async [Symbol.asyncDispose]() {
      for (const agent of running) await agent.end('SIGKILL')
      const left = await createTransport()
      for (const { node } of (await left.nodes?.()) ?? []) {
        // Its guard may be quicker.
        await left.removeNode?.(node, { mode: 'force' }).catch((error: BlockError) => {
          if (error.code !== 'NOT_FOUND') throw error
        })
      }
      await left.close()
    },
  }
}

/** Nodes of all pairs, in their order. */
export function nodesOf({ pairs }: AgentProcess): [string, string] {
  return pairs.map(({ node }) => node) as [string, string]
}

/** Those of them that an agent before had. */
export function takenOver({ pairs }: AgentProcess): string[] {
  return pairs.filter(({ tookOver }) => tookOver).map(({ node }) => node)
}

async function startAgent(args: readonly string[], limit: number): Promise<AgentProcess> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit').then(([code, signal]: (number | string)[]) => code ?? signal ?? 'gone')
  let printed = ''
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk))
  const told = new Promise<readonly PairNews[]>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk
      if (printed.endsWith('\n}\n')) resolve((JSON.parse(printed) as { pairs: PairNews[] }).pairs)
    })
  })
  const early = ended.then((code) => {
    throw new Error(`the agent ended with ${code}`)
  })
  early.catch(() => {})
  try {
    const pairs = await within('the agent is up', Promise.race([told, early]), limit)
    return {
      pid: child.pid ?? 0,
      pairs,
      ended,
      get said() {
        return said
      },
      async end(signal) {
        child.kill(signal)
        return within(`the agent has gone after ${signal}`, ended)
      },
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw new Error(`${(error as Error).message}: ${said}`)
  }
}
