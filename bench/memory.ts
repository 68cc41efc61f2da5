import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { nodeWith } from './checkout.ts'
import { SERVER_CORE } from './servers.ts'
import type { Memory } from './tell-memory.ts'

/** A script on the server's core that tells its memory. */
export interface Watched {
  readonly pid: number
  /** After a garbage collection. */
  memory(): Promise<Memory>
  stop(): Promise<void>
}

/** Starts a script, with the packages of `checkout` where that is given. */
export function watched(checkout: string | undefined, script: readonly string[]): Watched {
  const preload = ['--expose-gc', '--import', './bench/tell-memory.ts']
  const child: ChildProcess = spawn('taskset', ['-c', SERVER_CORE, ...nodeWith(checkout), ...preload, ...script], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  return {
    pid: child.pid as number,
    async memory() {
      const told = once(child, 'message')
      child.send('memory')
      const [memory] = (await told) as [Memory]
      return memory
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
