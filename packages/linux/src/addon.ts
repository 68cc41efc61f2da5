import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { LinuxError } from './errors.ts'

/** What the native part gives for a mapped range. */
export interface NativeMapping {
  readonly buffer: ArrayBuffer
  readonly address: number
  readonly handle: number
}

/** What the native part gives for an io_uring; offsets in bytes into `rings`. */
export interface NativeRing {
  readonly handle: number
  readonly fd: number
  readonly rings: NativeMapping
  readonly submissions: NativeMapping
  readonly flags: number
  readonly features: number
  readonly sqEntries: number
  readonly cqEntries: number
  readonly sqHead: number
  readonly sqTail: number
  readonly sqFlags: number
  readonly sqArray: number
  readonly cqHead: number
  readonly cqTail: number
  readonly cqes: number
}

/** The native functions (src/native). Numbers below 0 are negative errnos. */
export interface Addon {
  mapMemory(length: number): NativeMapping | number
  mapFile(fd: number, offset: number, length: number, write: boolean): NativeMapping | number
  unmap(handle: number, buffer: ArrayBuffer): void
  watch(fd: number, callback: () => void): number
  watchClose(handle: number): void
  watchRef(handle: number, on: boolean): void
  stayAwake(microseconds: number): void
  socketPair(bufferSize: number): [number, number] | number
  closeFd(fd: number): number
  peerPid(fd: number): number
  closeHandle(handle: number): void
  connectTcp(host: string, port: number, from: string): number
  socketError(fd: number): number
  listenTcp(host: string, port: number, backlog: number): number
  listenUnix(path: string, backlog: number): number
  acceptSocket(fd: number): number
  localPort(fd: number): number
  streamOpen(fd: number, keepAlive: number, callback: (events: number) => void): number
  streamPoll(stream: number, events: number): number
  streamReceive(stream: number, bytes: Uint8Array, start: number, end: number): number
  streamSend(stream: number, bytes: Uint8Array, start: number, end: number): number
  streamSendViews(stream: number, views: readonly Uint8Array[], from: number, to: number): number
  streamShutdown(stream: number): number
  streamClose(stream: number, reset: boolean): void
  streamRelease(stream: number): number
  ioctl(fd: number, request: number, argument: Uint8Array | number): Promise<number> | number
  netlinkOpen(): number
  netlinkRequest(handle: number, message: Uint8Array, timeout: number): Promise<Buffer | number> | number
  uringOpen(entries: number, wide: boolean, completions: number): NativeRing | number
  uringEnter(handle: number, submit: number, flags: number): number
  setIoFlusher(on: boolean): number
  lockMemory(): number
}

// From dist/ and from src/ alike.
const root = fileURLToPath(new URL('..', import.meta.url))
let loaded: Addon | undefined

/** The native part, loaded at the first call; throws LinuxError ERR_NO_ADDON where it cannot be had. */
export function addon(): Addon {
  loaded ??= load()
  return loaded
}

function load(): Addon {
  if (process.platform !== 'linux') throw noAddon(`this is ${process.platform}, not Linux`)
  const require = createRequire(import.meta.url)
  const failures: string[] = []
  for (const file of ['build/linux.node', `prebuilds/linux-${process.arch}/linux.node`]) {
    if (!existsSync(root + file)) continue
    try {
      return require(root + file) as Addon
    } catch (error) {
      failures.push(`${root}${file}: ${(error as Error).message}`)
    }
  }
  throw noAddon(failures.length > 0 ? failures.join('; ') : whyNotBuilt())
}

function whyNotBuilt(): string {
  const note = `${root}build/problem.txt`
  return existsSync(note) ? readFileSync(note, 'utf8').trim() : 'it was not compiled (install scripts switched off?)'
}

function noAddon(reason: string): LinuxError {
  return new LinuxError('load', 0, {
    code: 'ERR_NO_ADDON',
    reason: `the native part of @blockbraid/linux is missing: ${reason}. To build it: node ${root}scripts/install.js`,
  })
}
