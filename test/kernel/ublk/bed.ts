import { type ChildProcess, fork } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ring } from '@blockbraid/linux'
import { until, within } from '../guest/wait.ts'
import type { ServerMessage, ServerOptions } from './server.ts'

export const MIB = 1024 * 1024

/** A file of zeroes in memory, gone when disposed of. */
export function memoryFile(size: number): Disposable & { readonly path: string } {
  const folder = mkdtempSync('/run/ublk-')
  const path = `${folder}/volume`
  writeFileSync(path, '')
  truncateSync(path, size)
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** A process that serves a file. */
export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess
  readonly messages: readonly ServerMessage[]
  /** What it says first: a node, or why not. */
  readonly first: Promise<ServerMessage>
  /** Its node. */
  attached(): Promise<{ readonly node: string; readonly tookOver: boolean | undefined }>
  /** Ends it without a word. */
  kill(): Promise<void>
  ended(): Promise<void>
}

/** Starts one. */
export function startServer(path: string, options: ServerOptions): ServerProcess {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [path, JSON.stringify(options)])
  const messages: ServerMessage[] = []
  const first = new Promise<ServerMessage>((resolve, reject) => {
    child.on('message', (message: ServerMessage) => {
      messages.push(message)
      resolve(message)
    })
    child.on('exit', (code, signal) => reject(new Error(`the server has ended: ${code ?? signal}`)))
  })
  first.catch(() => {})
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await within('the server is gone', exit)
  }
  return {
    child,
    messages,
    first: within('the server has a node', first),
    async attached() {
      const message = await this.first
      if ('attached' in message) return message.attached
      throw new Error(JSON.stringify(message))
    },
    kill,
    ended: () => within('the server has ended', exit),
    [Symbol.asyncDispose]: kill,
  }
}

/** Numbers of the driver's devices. */
export function devices(): string[] {
  return readdirSync('/sys/class/ublk-char')
}

/** Waits until the driver has no device. */
export async function noDevices(): Promise<void> {
  await until('the driver has no device left', () => devices().length === 0 && nodes().length === 0)
}

/** Disks of the driver. */
export function nodes(): string[] {
  return readdirSync('/sys/block').filter((name) => name.startsWith('ublkb'))
}

/** A file of a node in sysfs. */
export function sysfs(node: string, file: string): string {
  return readFileSync(`/sys/block/${node.replace('/dev/', '')}/${file}`, 'utf8').trim()
}

/** Control commands that any program may send. */
export const Foreign = { Delete: 0x05, Stop: 0x07 } as const

/** Sends one as a program of others does; resolves to the driver's answer, 0 or a negative errno. */
export async function sendForeign(command: number, device: number): Promise<number> {
  const fd = openSync('/dev/ublk-control', 'r+')
  const answer = Promise.withResolvers<number>()
  const ring = new Ring({ entries: 4, wide: true }, () => {
    ring.drain((_, result) => answer.resolve(result))
  })
  // IORING_OP_URING_CMD with struct ublksrv_ctrl_cmd; _IOWR('u', command, 32).
  const at = ring.next()
  ring.words[at] = 46
  ring.words[at + 1] = fd
  ring.words[at + 2] = ((3 << 30) | (32 << 16) | (0x75 << 8) | command) >>> 0
  ring.words[at + 12] = device
  ring.words[at + 13] = 0xffff
  ring.submit()
  return answer.promise.finally(() => {
    ring.close()
    closeSync(fd)
  })
}

/** Descriptors of this process that lead to rings or to the driver. */
export function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return /io_uring|ublk/.test(target) ? [target] : []
    } catch {
      return []
    }
  })
}

/** Whether the kernel is at least this one: 616 is 6.16. */
export function kernelFrom(version: number): boolean {
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  return major * 100 + minor >= version
}
