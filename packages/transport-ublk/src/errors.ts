import { getSystemErrorName } from 'node:util'
import type { ErrorCode } from '@blockbraid/core'
import { BlockError, Errno, messageOf } from '@blockbraid/core'
import { commandName } from './protocol.ts'
import type { UblkSystem } from './system.ts'

/** A control command that the driver refused. */
export class CommandError extends Error {
  readonly command: number
  /** Positive. */
  readonly errno: number

  constructor(command: number, errno: number) {
    super(`${commandName(command)} of the ublk driver failed with ${getSystemErrorName(-errno)}`)
    this.name = 'CommandError'
    this.command = command
    this.errno = errno
  }
}

/** Whether it is a command that was refused with one of these. */
export function refusedWith(error: unknown, ...errnos: readonly number[]): error is CommandError {
  return error instanceof CommandError && errnos.includes(error.errno)
}

const CODES = new Map<number, ErrorCode>([
  [Errno.EPERM, 'DENIED'],
  [Errno.EACCES, 'DENIED'],
  [Errno.EBUSY, 'IN_USE'],
  [Errno.EOPNOTSUPP, 'NOT_SUPPORTED'],
  [Errno.ENODEV, 'NOT_FOUND'],
])

/** A refused command as a BlockError; anything else as it is. */
export function blockError(error: unknown, what: string): unknown {
  if (!(error instanceof CommandError)) return error
  const { errno } = error
  const denied =
    errno === Errno.EPERM
      ? ': CAP_SYS_ADMIN is needed (run as root), or the option `unprivileged` where the kernel and the rules of udev allow it'
      : errno === Errno.EACCES
        ? ': not allowed by the rights of its character device, or there are as many unprivileged devices as /sys/module/ublk_drv/parameters/ublks_max allows'
        : ''
  return new BlockError(CODES.get(errno) ?? 'IO_FAILED', `ublk: ${what}: ${error.message}${denied}`, {
    cause: error,
    ...(CODES.has(errno) ? {} : { errno }),
  })
}

/** Code of an error of node:fs or of `@blockbraid/linux`, such as `EPERM`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Why `/dev/ublk-control` could not be opened. */
export function openFailure(error: unknown, system: UblkSystem): BlockError {
  const code = codeOf(error)
  if (code === 'EACCES' || code === 'EPERM') {
    return new BlockError(
      'DENIED',
      `ublk: /dev/ublk-control cannot be opened (${code}): run as root, or let a rule of udev give it to this user and set the option \`unprivileged\``,
      { cause: error },
    )
  }
  return new BlockError(
    'NOT_SUPPORTED',
    `ublk: this kernel (Linux ${system.release}) has no ublk driver, or its module ublk_drv is not loaded (as root: modprobe ublk_drv); Linux 6.0 or newer with CONFIG_BLK_DEV_UBLK is needed`,
    { cause: error },
  )
}

/** Why a ring, or memory, could not be had. */
export function ringFailure(error: unknown, system: UblkSystem): unknown {
  const code = codeOf(error)
  if (code === 'EPERM') {
    const disabled = system.setting('kernel/io_uring_disabled')
    const why =
      disabled === '1' || disabled === '2'
        ? `sysctl kernel.io_uring_disabled is ${disabled}: set it to 0, or to 1 and put this user into the group that kernel.io_uring_group names`
        : 'a policy of this host forbids it, such as the seccomp filter of a container'
    return new BlockError('NOT_SUPPORTED', `ublk: io_uring is disabled: ${why}`, { cause: error })
  }
  if (code === 'ENOSYS') {
    return new BlockError(
      'NOT_SUPPORTED',
      `ublk: this kernel (Linux ${system.release}) has no io_uring, or the seccomp filter of a container hides it`,
      { cause: error },
    )
  }
  if (code === 'ENOMEM' && (error as { syscall?: unknown }).syscall === 'mmap') {
    return new BlockError(
      'NOT_SUPPORTED',
      'ublk: no memory for the buffers of a queue: lower the options depth or maxTransfer, or raise RLIMIT_AS (ulimit -v)',
      { cause: error },
    )
  }
  if (code === 'ENOMEM') {
    return new BlockError('NOT_SUPPORTED', 'ublk: no memory for an io_uring: raise RLIMIT_MEMLOCK (ulimit -l)', {
      cause: error,
    })
  }
  if (code === 'ERR_NO_ADDON') return new BlockError('NOT_SUPPORTED', `ublk: ${messageOf(error)}`, { cause: error })
  return error
}
