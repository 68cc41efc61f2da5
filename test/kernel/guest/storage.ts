import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a volume of one of the kernel's targets lies on. */
export interface Storage {
  /** The file or block device; empty where it has none. */
  readonly path: string
  /** What LIO is told, to find it. */
  readonly control: string
  /** Bytes as they lie there. */
  peek(offset: number, length: number): Buffer
  /** Bytes that are backed by memory. */
  allocated(): number
  /** Makes it larger. */
  grow(size: number): void
  /** Holds every command that comes, or runs those that were held. */
  setStopped(stopped: boolean): void
  remove(): void
}

/** What a storage is made of. */
export interface StorageOptions {
  readonly name: string
  readonly size: number
  readonly blockSize: number
}

const FILES = '/run/storage'

/** A sparse file in memory. */
export function fileStorage({ name, size }: StorageOptions): Storage {
  const file = join(FILES, name)
  mkdirSync(FILES, { recursive: true })
  writeFileSync(file, '')
  truncateSync(file, size)
  return {
    path: file,
    control: `fd_dev_name=${file},fd_dev_size=${size},fd_buffered_io=1`,
    peek(offset, length) {
      const data = Buffer.alloc(length)
      const descriptor = openSync(file, 'r')
      readSync(descriptor, data, 0, length, offset)
      closeSync(descriptor)
      return data
    },
    allocated: () => statSync(file).blocks * 512,
    grow: (bytes) => truncateSync(file, bytes),
    setStopped: (stopped) => void (stopped && notOf('a file', 'stopped')),
    remove: () => rmSync(file),
  }
}

/** A loop device over such a file. */
export function loopStorage(options: StorageOptions): Storage {
  const file = fileStorage(options)
  const { blockSize, name } = options
  const device = run('losetup', '-f', '--show', '-b', String(blockSize), join(FILES, name))
  return {
    ...file,
    path: device,
    control: `udev_path=${device}`,
    grow(bytes) {
      file.grow(bytes)
      run('losetup', '-c', device)
    },
    setStopped: (stopped) => void (stopped && notOf('a loop device', 'stopped')),
    remove() {
      run('losetup', '-d', device)
      file.remove()
    },
  }
}

/** A device of the device mapper over such a loop device. */
export function mappedStorage(options: StorageOptions): Storage {
  const loop = loopStorage(options)
  const { name, size } = options
  // There is no udev to wait for.
  const dmsetup = (...args: readonly string[]): string => run('dmsetup', '--noudevsync', ...args)
  dmsetup('create', name, '--table', `0 ${size / 512} linear ${loop.path} 0`)
  const device = dmsetup('info', '-c', '--noheadings', '-o', 'blkdevname', name)
  return {
    ...loop,
    path: `/dev/${device}`,
    control: `udev_path=/dev/${device}`,
    grow: () => notOf('a mapped device', 'made larger'),
    setStopped: (stopped) => void dmsetup(stopped ? 'suspend' : 'resume', name),
    remove() {
      dmsetup('remove', name)
      loop.remove()
    },
  }
}

/** Pages of LIO's own. */
export function ramStorage({ size }: StorageOptions): Storage {
  return {
    path: '',
    control: `rd_pages=${size / 4096}`,
    peek: () => notOf('a ramdisk', 'looked into'),
    allocated: () => size,
    grow: () => notOf('a ramdisk', 'made larger'),
    setStopped: (stopped) => void (stopped && notOf('a ramdisk', 'stopped')),
    remove() {},
  }
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' }).trim()
}

function notOf(what: string, done: string): never {
  throw new Error(`${what} cannot be ${done}`)
}
