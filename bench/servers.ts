import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeWith } from './checkout.ts'

/** A server under test: where clients find it, and how it ends. */
export interface Contender {
  readonly name: string
  /** Path of its unix socket. */
  readonly socket: string
  readonly exportName: string
  /** Both, as fio takes them. */
  readonly uri: string
  /** Process id of the server. */
  readonly pid: number
  stop(): Promise<void>
}

export const SERVER_CORE = '0'
export const CLIENT_CORE = '1'

/** Starts `command` on the server's core. */
export function pinned(command: readonly string[]): ChildProcess {
  return spawn('taskset', ['-c', SERVER_CORE, ...command], { stdio: ['pipe', 'ignore', 'inherit'] })
}

/** Clock ticks of /proc per second, the same on every Linux that Node runs on. */
export const TICKS = 100

/**
 * CPU time that a process has used, in user and in kernel, seconds: also by threads that have ended, as nbdkit's do
 * with their connection (/proc/PID/task/TID/schedstat is finer, and forgets those).
 */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

async function stopChild(child: ChildProcess): Promise<void> {
  const exited = child.exitCode === null ? once(child, 'exit') : undefined
  child.kill('SIGTERM')
  await exited
}

async function listening(socket: string): Promise<void> {
  for (let tries = 0; tries < 200 && !existsSync(socket); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50))
  if (!existsSync(socket)) throw new Error(`nothing listens on ${socket}`)
  // Between bind and listen.
  await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Starts a server on its core, and waits until it listens on its socket. */
export async function startServer(
  name: string,
  socket: string,
  exportName: string,
  command: readonly string[],
): Promise<Contender> {
  const child = pinned(command)
  await listening(socket)
  // taskset becomes the command, so that this is the server itself.
  const stop = (): Promise<void> => stopChild(child)
  return { name, socket, exportName, uri: uriOf(socket, exportName), pid: child.pid as number, stop }
}

function uriOf(socket: string, exportName: string): string {
  return `nbd+unix:///${exportName}?socket=${socket}`
}

/** The names of blockbraid's exports; those of another checkout have `, before` behind them. */
export const OURS = { multipath: 'blockbraid', simple: 'simple replies', native: 'native path' }
/** What stands behind the names of another checkout's contenders. */
export const BEFORE = ', before'

/** blockbraid with its simulated array; the others are the same server through other exports. */
export async function blockbraid(folder: string, size: string, checkout?: string): Promise<Contender[]> {
  const suffix = checkout === undefined ? '' : BEFORE
  const socket = join(folder, `blockbraid${checkout === undefined ? '' : '-before'}.sock`)
  const command = [...nodeWith(checkout), 'bench/serve.ts', socket, size]
  const multipath = await startServer(OURS.multipath + suffix, socket, 'multipath', command)
  const other = (name: string, socket: string, exportName: string): Contender => {
    const uri = uriOf(socket, exportName)
    return { ...multipath, name: name + suffix, socket, exportName, uri, stop: async () => {} }
  }
  const all = [multipath, other(OURS.simple, `${socket}.simple`, 'multipath')]
  return checkout === undefined ? [...all, other(OURS.native, socket, 'native')] : all
}

/** qemu-nbd over a raw file in memory. */
export function qemuNbd(folder: string, file: string): Promise<Contender> {
  const socket = join(folder, 'qemu.sock')
  return startServer('qemu-nbd', socket, 'x', ['qemu-nbd', '-f', 'raw', '-t', '-e', '8', '-x', 'x', '-k', socket, file])
}

/** nbdkit's memory plugin. */
export function nbdkit(folder: string, size: string): Promise<Contender> {
  const socket = join(folder, 'nbdkit.sock')
  return startServer('nbdkit', socket, '', ['nbdkit', '-f', '-U', socket, 'memory', size.replace('iB', '')])
}
