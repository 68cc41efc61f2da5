import { getSystemErrorMap } from 'node:util'
import { errnoName } from './errno-names.ts'

/** Details of a {@link LinuxError} besides errno and system call. */
export interface LinuxErrorOptions {
  /** Instead of the name of the errno. */
  code?: string
  /** What stands after the code, instead of the system's words for the errno. */
  reason?: string
}

/** Error of a system call. Wrong arguments are TypeErrors instead. */
export class LinuxError extends Error {
  /** Name of the errno, such as 'EPERM'; 'ERR_NO_ADDON' where the native part could not be loaded. */
  readonly code: string
  /** Linux errno, positive; 0 with 'ERR_NO_ADDON'. */
  readonly errno: number
  /** The system call, such as 'ioctl'. */
  readonly syscall: string

  constructor(syscall: string, errno: number, options: LinuxErrorOptions = {}) {
    const code = options.code ?? errnoName(errno)
    super(`${syscall}: ${code}, ${options.reason ?? describe(errno)}`)
    this.name = 'LinuxError'
    this.code = code
    this.errno = errno
    this.syscall = syscall
  }

  /** Recognises a LinuxError by its shape, so that two copies of this package agree. */
  static is(error: unknown): error is LinuxError {
    return error instanceof Error && error.name === 'LinuxError' && 'errno' in error && 'syscall' in error
  }
}

/** What a native function gave back, or its negative errno as an error. */
export function check<T>(syscall: string, result: T | number): T {
  if (typeof result === 'number' && result < 0) throw new LinuxError(syscall, -result)
  return result as T
}

function describe(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`
}
