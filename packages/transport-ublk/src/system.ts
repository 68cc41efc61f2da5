import { execFile, spawn } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { type FileHandle, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import type { DiskWords, LetGo, NodeRecord } from '@blockbraid/linux'
import {
  claimNode,
  guardNode,
  helperEnvironment,
  isServed,
  mapFile,
  mapMemory,
  nodeUsers,
  Ring,
  readNodeRecord,
  removeNodeRecord,
  setNodeReadOnly,
  settleNode,
  writeNodeRecord,
} from '@blockbraid/linux'

/** What is used of a ring of `@blockbraid/linux`. */
export interface CommandRing {
  readonly fd: number
  readonly words: Uint32Array
  next(): number
  submit(): void
  drain(handler: (userData: number, result: number, flags: number) => void): number
  ref(): void
  unref(): void
  close(): void
}

/** What is used of a mapping. */
export interface Memory {
  readonly buffer: ArrayBuffer
  readonly address: number
  unmap(): void
}

/** Rings that another process holds too. */
export interface RingKeeper {
  /** Lets go of them: at once, or a moment later. */
  release(when: 'now' | 'later'): void
}

/** A node held so that nobody else can mount it. */
export interface ExclusiveHold {
  /** Writes back what is cached above the node. */
  sync(): Promise<void>
  /** Twice is fine. */
  release(): Promise<void>
}

/** Everything outside of this package that it uses: the kernel and the host. Tests put one of their own here. */
export interface UblkSystem {
  readonly pid: number
  /** Bytes. */
  readonly pageSize: number
  /** Of the kernel, such as 6.12.0. */
  readonly release: string
  /** Opens a character device; throws as node:fs does. */
  open(path: string): number
  close(fd: number): void
  ring(entries: number, wide: boolean, onCompletions: () => void): CommandRing
  memory(length: number): Memory
  descriptors(fd: number, offset: number, length: number): Memory
  /** Has a process of its own hold rings until a moment after this process has ended. */
  keepRings(fds: readonly number[]): RingKeeper
  /** Numbers of the devices that the driver has. */
  devices(): Promise<number[]>
  isAlive(pid: number): boolean
  /** Loads the module; whether that worked. */
  loadModule(): Promise<boolean>
  /** A setting below /proc/sys; an empty text where there is none. */
  setting(path: string): string
  /** Sets what the block layer calls io_timeout; does nothing where it may not. */
  setIoTimeout(kname: string, milliseconds: number): Promise<void>
  /** Has the block layer refuse writes to a node, or take them; resolves to whether it does so now. Left out: it cannot. */
  setReadOnly?(kname: string, on: boolean): Promise<boolean>
  /** Rejects with EBUSY where the node is in use. */
  hold(kname: string): Promise<ExclusiveHold>
  users(kname: string): Promise<string[]>
  settle(kname: string): Promise<void>
  /** Claims a name for this process until it lets go; or tells which process has it. Rejects where no records can be kept. */
  claim(name: string): Promise<LetGo | number>
  readRecord(kname: string): Promise<NodeRecord | undefined>
  writeRecord(kname: string, names: { name: string } & DiskWords): Promise<void>
  removeRecord(kname: string): Promise<void>
  isServed(record: NodeRecord): boolean
  guard(entry: string, limit: number): { forget(): void }
}

/** The machine. */
export const linuxSystem: UblkSystem = {
  pid: process.pid,
  get pageSize() {
    return pageSize()
  },
  release: release(),
  open: (path) => openSync(path, constants.O_RDWR),
  close: closeSync,
  ring: (entries, wide, onCompletions) => new Ring({ entries, wide }, onCompletions),
  memory: mapMemory,
  descriptors: (fd, offset, length) => mapFile(fd, offset, length),
  keepRings,
  devices,
  isAlive,
  loadModule,
  setting(path) {
    try {
      return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
    } catch {
      return ''
    }
  },
  setIoTimeout,
  setReadOnly: setNodeReadOnly,
  hold,
  users: nodeUsers,
  settle: settleNode,
  claim: (name) => claimNode(`ublk ${name}`),
  readRecord: readNodeRecord,
  writeRecord: writeNodeRecord,
  removeRecord: removeNodeRecord,
  isServed,
  guard: (entry, limit) => guardNode(new URL('./guard.js', import.meta.url), entry, limit),
}

let knownPageSize = 0

/** AT_PAGESZ of the auxiliary vector, which is made of pairs of 64-bit words. */
function pageSize(): number {
  if (knownPageSize > 0) return knownPageSize
  const PAGE_SIZE = 6n
  const vector = readFileSync('/proc/self/auxv')
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === PAGE_SIZE) knownPageSize = Number(vector.readBigUInt64LE(at + 8))
  }
  return knownPageSize
}

function keepRings(fds: readonly number[]): RingKeeper {
  // Its input, of which nothing ever comes, ends when this process does. A session of its own: an interrupt at the
  // terminal must not take both.
  const child = spawn('sh', ['-c', 'read nothing; exec sleep 1'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore', ...fds],
    cwd: '/',
    env: helperEnvironment(),
  })
  // Without it, nothing is worse than it was.
  child.on('error', () => {})
  child.stdin?.on('error', () => {})
  child.unref()
  ;(child.stdin as unknown as { unref(): void } | null)?.unref()
  return {
    release(when) {
      if (when === 'now') child.kill('SIGKILL')
      else child.stdin?.destroy()
    },
  }
}

async function devices(): Promise<number[]> {
  const names = await readdir('/sys/class/ublk-char').catch(() => readdir('/dev'))
  return names
    .flatMap((name) => /^ublkc(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((one, other) => one - other)
}

/** A process that has ended, but that its parent has not asked about, serves nothing. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is a name in brackets that may hold anything.
    return !['Z', 'X'].includes(stat.charAt(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

function loadModule(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('modprobe', ['ublk_drv'], { timeout: 10_000, env: helperEnvironment() }, (error) =>
      resolve(error === null),
    )
  })
}

async function setIoTimeout(kname: string, milliseconds: number): Promise<void> {
  const file = `/sys/block/${kname}/queue/io_timeout`
  const text = String(milliseconds)
  try {
    // Whoever writes it waits for every request of the node, and after a take-over some may be held for long.
    if ((await readFile(file, 'utf8')).trim() !== text) await writeFile(file, text)
  } catch {
    // It may not.
  }
}

async function hold(kname: string): Promise<ExclusiveHold> {
  // Read-only: udev looks at a node again when somebody who could have written closes it.
  const handle: FileHandle = await open(`/dev/${kname}`, constants.O_RDONLY | constants.O_EXCL)
  return { sync: () => handle.sync(), release: () => handle.close() }
}
