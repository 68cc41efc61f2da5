// The `blockbraid` command as processes that can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { within } from '../guest/wait.ts'
import type { ArrayNews } from './array-process.ts'
import { transportConfig } from './bed.ts'
import { tool } from './tools.ts'

const command = join(import.meta.dirname, '../../../packages/agent/dist/cli.js')
const folder = '/run/agents'
// Node compiles the agent once and not at each start.
const env = { ...process.env, NODE_COMPILE_CACHE: '/run/compiled' }

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
  readonly multipath?: Readonly<Record<string, unknown>>
  /** Which volume has which name; every volume, `vol-0` and up, where left out. */
  readonly names?: Readonly<Record<string, string>>
}

/** Agents, one after the other, with the same config. Disposing of it kills them and forces every node away. */
export interface Agents extends AsyncDisposable {
  /** Starts one; resolves when its pairs are up. */
  up(...options: readonly string[]): Promise<AgentProcess>
  /** Runs another command of `blockbraid`; resolves to what it printed. */
  run(...args: readonly string[]): Promise<string>
}

/** Makes the config. */
export function agentsOf(
  array: ArrayNews,
  { transport, multipath, names = { '*': 'vol-{n}' } }: AgentsOptions = {},
): Agents {
  mkdirSync(folder, { recursive: true })
  const control = join(folder, 'control.sock')
  const file = join(folder, 'blockbraid.yaml')
  const config = {
    control,
    initiator: 'iqn.2026-11.io.blockbraid.test:host',
    targets: [{ use: 'iscsi', portals: array.portals, target: array.name, keepAliveTimeout: 20_000 }],
    devices: Object.entries(names).map(([volume, name]) => ({
      volume,
      name,
      transport: { ...transportConfig, ...transport },
      multipath: { reconnectDelayMax: 500, ...multipath },
    })),
  }
  // JSON is YAML.
  const running = new Set<AgentProcess>()
  const run = (...args: readonly string[]): Promise<string> =>
    tool(process.execPath, command, ...args, ...(args[0] === 'nodes' ? [] : ['--control', control]))
  return {
    run,
    async up(...options) {
      writeFileSync(file, JSON.stringify(config))
      const agent = await startAgent(['up', file, '--json', ...options])
      running.add(agent)
      void agent.ended.then(() => running.delete(agent))
      return agent
    },
    async [Symbol.asyncDispose]() {
      for (const agent of running) await agent.end('SIGKILL')
      const { nodes } = JSON.parse(await run('nodes', '--json')) as { nodes: readonly { node: string; name: string }[] }
      for (const { name } of nodes) await run('down', name, '--force')
    },
  }
}

async function startAgent(args: readonly string[]): Promise<AgentProcess> {
  const child = spawn(process.execPath, [command, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
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
    throw new Error(`the agent ended with ${code}: ${said}`)
  })
  early.catch(() => {})
  try {
    const pairs = await within('the agent is up', Promise.race([told, early]))
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
    throw new Error(`${(error as Error).message}\n${said}`)
  }
}
