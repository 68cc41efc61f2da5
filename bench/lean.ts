import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { NbdJob } from './jobs.ts'
import type { Contender } from './servers.ts'
import { CLIENT_CORE } from './servers.ts'

const run = promisify(execFile)

/** A client that costs less than any server: lean.c says how. */
export interface LeanClient {
  /** Runs one job over the job's connections; I/Os per second. */
  load(contender: Contender, size: number, job: NbdJob, seconds: number): Promise<number>
  /** Opens connections, writes and reads `bytes` on each, and keeps them until the function that it gives is called. */
  hold(
    contender: Pick<Contender, 'socket' | 'exportName'>,
    connections: number,
    bytes: number,
  ): Promise<() => Promise<void>>
}

/** Compiles it into a folder; undefined where there is no compiler. */
export function leanClient(folder: string): LeanClient | undefined {
  const program = join(folder, 'lean')
  try {
    execFileSync('cc', ['-O2', '-o', program, 'bench/lean.c'], { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    console.log(`no lean client, as it does not compile: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
  const pin = ['-c', CLIENT_CORE, program]
  return {
    async load({ socket, exportName }, size, { rw, blockSize, depth, connections }, seconds) {
      const numbers = [blockSize, depth, connections, seconds].map(String)
      const { stdout } = await run('taskset', [...pin, 'load', socket, exportName, String(size), rw, ...numbers])
      const result = JSON.parse(stdout) as { ios: number; seconds: number }
      return result.ios / result.seconds
    },
    async hold({ socket, exportName }, connections, bytes) {
      const child = spawn('taskset', [...pin, 'hold', socket, exportName, String(bytes), String(connections)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      await Promise.race([once(child.stdout, 'data'), exited])
      if (child.exitCode !== null) throw new Error(`the clients ended with ${child.exitCode}`)
      return async () => {
        child.stdin.end()
        await exited
      }
    },
  }
}
