import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { nodeWith } from './checkout.ts'
import { SERVER_CORE } from './servers.ts'

/** What a process holds after a garbage collection, bytes. */
export interface Memory {
  readonly rss: number
  /** Of JavaScript, and of buffers. */
  readonly heap: number
}

/** A script on the server's core that tells its memory. */
export interface Watched {
  readonly pid: number
  memory(): Promise<Memory>
  stop(): Promise<void>
}

/** Starts a script, with the packages of `checkout` where that is given. */
export function watched(checkout: string | undefined, script: readonly string[]): Watched {
  const preload = ['--expose-gc', '--import', './bench/tell-memory.mjs']
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
