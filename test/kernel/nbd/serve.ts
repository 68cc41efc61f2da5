import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { within } from '../guest/wait.ts'
import type { ServerOptions } from './server.ts'

/** A process that serves a node. */
export interface Server {
  readonly child: ChildProcess
  readonly node: string
  readonly tookOver: boolean
  /** Why it serves none. */
  readonly error: { readonly code: string; readonly message: string } | undefined
  /** Tells it something and resolves to its answer. */
  tell(line: string): Promise<Record<string, unknown>>
  /** The next line that it says by itself. */
  next(): Promise<Record<string, unknown>>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts one; `command` goes before it, such as `setpriv`. */
export async function serve(
  t: TestContext,
  options: Partial<ServerOptions> & Pick<ServerOptions, 'file'>,
  command: readonly string[] = [],
): Promise<Server> {
  const whole: ServerOptions = { name: 'disk', volume: 'naa.1', limits: {}, options: {}, ...options }
  const script = fileURLToPath(new URL('server.ts', import.meta.url))
  const [file = '', ...args] = [...command, process.execPath, script, JSON.stringify(whole)]
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await within('a word of the server', lines.next())
    if (done) throw new Error('the server ended without a word')
    return JSON.parse(value as string) as Record<string, unknown>
  }
  const { node, tookOver, error } = await next()
  return {
    child,
    node: node as string,
    tookOver: tookOver as boolean,
    error: error as Server['error'],
    tell(line) {
      child.stdin.write(`${line}\n`)
      return next()
    },
    next,
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
  }
}
