import type { BlockDevice, IoStatus } from '@blockbraid/core'
import { changesData, Errno, errnoOf, Io, type IoOp, isPathError, NO_BUFFERS, NOT_EXECUTED, OK } from '@blockbraid/core'
import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import { Check, GOOD, Status, statusOnly } from './outcome.ts'

/** No answer fits: the path to the data is gone, and the connection must go with it. */
export const CUT: Outcome = -1

/** What a command ends with whose Io ended with `status`. */
export function outcomeOf(status: IoStatus, nexus: Nexus, op: IoOp): Outcome {
  if (status === OK) return GOOD
  const errno = errnoOf(status)
  if (isPathError(status)) {
    if ((status & NOT_EXECUTED) === 0) return CUT
    if (errno !== Errno.EAGAIN) return errno === Errno.ENODEV ? Check.noSuchUnit : Check.notReady
    if (nexus.access === 'standby') return Check.standby
    if (nexus.access === 'unavailable') return Check.unavailable
    return nexus.access === 'transitioning' ? Check.transitioning : statusOnly(Status.busy)
  }
  switch (errno) {
    case Errno.ENODATA:
      return changesData(op) ? Check.mediumErrorWrite : Check.mediumErrorRead
    case Errno.EPERM:
    case Errno.EROFS:
      return Check.writeProtected
    case Errno.ENOSPC:
      return Check.spaceAllocation
    case Errno.EBADE:
      return statusOnly(Status.reservationConflict)
    case Errno.EBUSY:
    case Errno.EAGAIN:
      return statusOnly(Status.busy)
    case Errno.EOPNOTSUPP:
      return Check.invalidOpcode
    case Errno.EINVAL:
      return Check.invalidField
    case Errno.ENODEV:
      return Check.noSuchUnit
    case Errno.ESHUTDOWN:
      return CUT
    default:
      return Check.internalFailure
  }
}

/** One Io as a promise, for commands that take several. */
export function perform(
  device: BlockDevice,
  op: IoOp,
  offset: number,
  length: number,
  flags = 0,
  buffers: Uint8Array[] = NO_BUFFERS,
): Promise<IoStatus> {
  return new Promise((resolve) => {
    const io = new Io()
    io.op = op
    io.offset = offset
    io.length = length
    io.flags = flags
    io.buffers = buffers
    io.done = (_io, status) => resolve(status)
    device.submit(io)
  })
}
