import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { afterEach } from 'vitest'

/** How a program ended. */
export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that runs. Whatever is left after a test is killed. */
export interface Running {
  readonly pid: number
  /** Settles when it has ended, whatever its code. */
  readonly ended: Promise<Ended>
  /** What it has printed so far. */
  readonly stdout: string
  /** What it has said on standard error so far. */
  readonly stderr: string
  /** Settles when what it has printed passes `test`; rejects when it ends before. */
  printed(test: (stdout: string) => boolean): Promise<void>
  /** Gives it a line on its standard input. */
  say(line: string): void
  kill(signal: NodeJS.Signals): void
}

/** Options of a program. */
export interface ToolOptions {
  /** Folder it runs in. */
  readonly cwd?: string
  /** Milliseconds; then it is killed, which no test expects. @defaultValue 60000 */
  readonly limit?: number
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

const environment = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
const children = new Set<ChildProcessByStdio<Writable, Readable, Readable>>()

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts a program. */
export function start(command: string, args: readonly string[], options: ToolOptions = {}): Running {
  const { cwd, limit = 60_000, env } = options
  const child = spawn(command, args, { cwd, env: { ...environment, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  children.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A program that ends does not read to the end of what it is told.
  child.stdin.on('error', () => {})
  const ended = new Promise<Ended>((resolve, reject) => {
    const timer = setTimeout(() => {
      stderr += `\n(killed after ${limit} ms)`
      child.kill('SIGKILL')
    }, limit)
    child.on('error', (cause) => {
      clearTimeout(timer)
      children.delete(child)
      reject(new Error(`${command} cannot be run: is it installed? ${cause.message}`, { cause }))
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      children.delete(child)
      resolve({ code, stdout, stderr })
    })
  })
  const printed = (test: (stdout: string) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (): void => {
        child.stdout.off('data', look)
        child.off('close', gone)
      }
      const look = (): void => {
        if (!test(stdout)) return
        done()
        resolve()
      }
      const gone = (): void => {
        done()
        reject(new Error(`${command} ended after it printed ${stdout}\n${stderr}`))
      }
      child.stdout.on('data', look)
      child.on('close', gone)
      look()
    })
  return {
    pid: child.pid ?? -1,
    ended,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    printed,
    say: (line) => void child.stdin.write(`${line}\n`),
    kill: (signal) => void child.kill(signal),
  }
}

/** Runs a program to its end, whatever its code. */
export function run(command: string, args: readonly string[], options?: ToolOptions): Promise<Ended> {
  return start(command, args, options).ended
}

/** Runs a program that must end with code 0; resolves to what it printed. */
export async function succeed(command: string, args: readonly string[], options?: ToolOptions): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code === 0) return stdout
  throw new Error(`${[command, ...args].join(' ')}\nended with code ${code}\n${stdout}\n${stderr}`)
}
