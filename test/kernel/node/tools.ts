// Programs of others, each in a process of its own: this process may be the one that serves the node, so that it must
// not wait for the node itself.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { within } from '../guest/wait.ts'

/** How a program ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that runs. */
export interface Running {
  readonly pid: number
  /** How it ends; rejects with its words where that is not 0. */
  readonly done: Promise<string>
  /** How it ends, whatever that is. */
  readonly ended: Promise<Ended>
}

/** Milliseconds that one program may take; a program that waits for a node cannot be killed. */
const LIMIT = 150_000

/** Starts a program. */
export function start(command: string, args: readonly string[], input = ''): Running {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const line = `${command} ${args.join(' ')}`
  const ended = within(
    line,
    once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null, ...said })),
    LIMIT,
  ).finally(() => child.kill('SIGKILL'))
  const done = ended.then(({ code, stdout, stderr }) => {
    if (code !== 0) throw new Error(`${line}: exit ${code}\n${stderr}\n${stdout}`)
    return stdout
  })
  // Whoever waits for one of them may not wait for the other.
  ended.catch(() => {})
  done.catch(() => {})
  return { pid: child.pid ?? 0, ended, done }
}

/** Runs a program; resolves to what it printed, rejects with its words where it fails. */
export function tool(command: string, ...args: readonly string[]): Promise<string> {
  return start(command, args).done
}

/** Runs a program that must fail; resolves to its words. */
export async function refused(command: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await start(command, args).ended
  if (code === 0) throw new Error(`${command} ${args.join(' ')} did not fail: ${stdout}`)
  return stderr
}

/** Jobs of fio that share options; each is `name: options of it`. Ends with an error when a byte is not what was written. */
export function fio(
  shared: Readonly<Record<string, string | number>>,
  jobs: Readonly<Record<string, Readonly<Record<string, string | number>>>>,
): Running {
  const options = (of: Readonly<Record<string, string | number>>): string[] =>
    Object.entries(of).map(([name, value]) => `--${name}=${value}`)
  // Without threads, fio makes its processes' shared memory from a file of /dev/shm and locks.
  const always = { thread: 1, group_reporting: 1, verify_fatal: 1, randrepeat: 1, 'output-format': 'terse', ...shared }
  return start('fio', [
    ...options(always),
    ...Object.entries(jobs).flatMap(([name, of]) => [`--name=${name}`, ...options(of)]),
  ])
}

/** A filesystem that is mounted; disposing of it unmounts it. */
export interface Mounted extends AsyncDisposable {
  readonly folder: string
}

let mounts = 0

/** Mounts a filesystem on a folder of its own. */
export async function mount(node: string, ...options: readonly string[]): Promise<Mounted> {
  const folder = `/run/mount${mounts++}`
  await tool('mkdir', '-p', folder)
  await tool('mount', ...options, node, folder)
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await tool('umount', folder)
    },
  }
}

/** Reads blocks past the page cache; resolves to the errno's words where that fails, else to `done`. */
export async function readDirect(node: string, offset: number, length: number): Promise<string> {
  return transfer([`if=${node}`, 'of=/dev/null', 'iflag=direct', `bs=${length}`, `skip=${offset / length}`, 'count=1'])
}

/** Writes zeroes past the page cache; resolves to the errno's words where that fails, else to `done`. */
export async function writeDirect(node: string, offset: number, length: number): Promise<string> {
  return transfer([`if=/dev/zero`, `of=${node}`, 'oflag=direct', `bs=${length}`, `seek=${offset / length}`, 'count=1'])
}

async function transfer(args: readonly string[]): Promise<string> {
  const { code, stderr } = await start('dd', ['conv=notrunc', ...args]).ended
  return code === 0 ? 'done' : (/: ([^:\n]+)\n/.exec(stderr)?.[1] ?? stderr)
}
