import { addon } from './addon.ts'
import { check } from './errors.ts'

/**
 * prctl(PR_SET_IO_FLUSHER): memory that this thread asks for does not wait for I/O that it must itself do. For the
 * calling thread, and the threads and processes that it makes later: call it before the thread pool and workers start.
 * Throws LinuxError EPERM without CAP_SYS_RESOURCE, EINVAL before Linux 5.6.
 */
export function setIoFlusher(on: boolean): void {
  check('prctl', addon().setIoFlusher(on))
}

/**
 * Reads the program and its libraries into memory and keeps them there (mlock), so that none of their pages must come
 * from a disk that this process serves. The rest of its memory is not in files; where swap is on such a disk,
 * keep it out of swap with the cgroup's `memory.swap.max` (MemorySwapMax=0): V8 ends the process when its own
 * memory is locked. Throws LinuxError EPERM or ENOMEM without CAP_IPC_LOCK or an RLIMIT_MEMLOCK of some 128 MiB.
 */
export function lockMemory(): void {
  check('mlock', addon().lockMemory())
}
