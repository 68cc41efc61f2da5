import { addon, type NativeMapping } from './addon.ts'
import { needFd, needInteger } from './arguments.ts'
import { check } from './errors.ts'

/** Mapped memory as an ArrayBuffer. One that is collected is unmapped by itself. */
export interface Mapping {
  /** The memory; length 0 after `unmap`. */
  readonly buffer: ArrayBuffer
  /** Where it is, for the kernel; valid while `buffer` is kept. */
  readonly address: number
  /** Bytes. */
  readonly length: number
  /** Detaches `buffer`, so that views have length 0, then unmaps. Twice is fine. */
  unmap(): void
}

/** Options of {@link mapFile}. */
export interface MapFileOptions {
  /** Default false: a write through the buffer then ends the process with SIGSEGV. */
  write?: boolean
}

const maxLength = 2 ** 46

/**
 * Zeroed private memory, page aligned, each page taken when it is first used; huge pages, which would take far more,
 * are never made of it. `length` in bytes. Throws LinuxError ENOMEM.
 */
export function mapMemory(length: number): Mapping {
  needInteger('length', length, 1, maxLength)
  return toMapping(check('mmap', addon().mapMemory(length)), length)
}

/**
 * A part of a file or device, shared, its pages present. `offset` in bytes, a multiple of the page size.
 * As with every mapping: access to what a file has lost since ends the process with SIGBUS.
 */
export function mapFile(fd: number, offset: number, length: number, options: MapFileOptions = {}): Mapping {
  needFd('fd', fd)
  needInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
  needInteger('length', length, 1, maxLength)
  return toMapping(check('mmap', addon().mapFile(fd, offset, length, options.write === true)), length)
}

/** The face of a native mapping. */
export function toMapping({ buffer, address, handle }: NativeMapping, length: number): Mapping {
  return { buffer, address, length, unmap: () => addon().unmap(handle, buffer) }
}
