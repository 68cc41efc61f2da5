import type { IoStatus } from '@blockbraid/core'
import { changesData, Errno, errnoOf, Io, type IoOp, isPathError, NO_BUFFERS, NOT_EXECUTED, OK } from '@blockbraid/core'
import type { Attachment } from '../namespace/attachment.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'

/** No answer fits: the path to the data is gone, and the connections must go with it. */
export const CUT: Status = -1

/** The status that an ANA state gives (NVMe Base 2.1 §8.1.1); 0: it takes commands. */
export function accessStatus(attachment: Attachment): Status {
  switch (attachment.access) {
    case 'optimized':
    case 'non-optimized':
      return 0
    case 'standby':
      return Sc.inaccessible
    case 'unavailable':
      return Sc.persistentLoss
    case 'transitioning':
      return Sc.transition
  }
}

/** What a command ends with whose Io ended with `status`. */
export function statusOf(status: IoStatus, attachment: Attachment, op: IoOp): Status {
  if (status === OK) return 0
  const errno = errnoOf(status)
  if (isPathError(status)) {
    if ((status & NOT_EXECUTED) === 0) return CUT
    if (errno === Errno.ENODEV) return Sc.invalidNamespace | DNR
    if (errno !== Errno.EAGAIN) return Sc.internalPathError
    const access = accessStatus(attachment)
    return access === 0 ? Sc.notReady : access
  }
  switch (errno) {
    case Errno.ENODATA:
      return (changesData(op) ? Sc.writeFault : Sc.readError) | DNR
    case Errno.EPERM:
    case Errno.EROFS:
      return Sc.writeProtected | DNR
    case Errno.ENOSPC:
      return Sc.capacityExceeded | DNR
    case Errno.EBADE:
      return Sc.reservationConflict
    case Errno.EBUSY:
    case Errno.EAGAIN:
      return Sc.notReady
    case Errno.EOPNOTSUPP:
      return Sc.invalidOpcode | DNR
    case Errno.EINVAL:
      return Sc.invalidField | DNR
    case Errno.ENODEV:
      return Sc.invalidNamespace | DNR
    case Errno.ESHUTDOWN:
      return CUT
    default:
      return Sc.internalError | DNR
  }
}

/** One Io as a promise, for commands that take several; gives the status of the command, and leaves views in `views`. */
export function perform(
  attachment: Attachment,
  op: IoOp,
  offset: number,
  length: number,
  flags = 0,
  buffers: Uint8Array[] = NO_BUFFERS,
  views?: Uint8Array[],
): Promise<Status> {
  return new Promise((resolve) => {
    const io = new Io()
    io.op = op
    io.offset = offset
    io.length = length
    io.flags = flags
    io.buffers = buffers
    io.done = (_io, status) => {
      if (status === OK) views?.push(...io.buffers)
      resolve(statusOf(status, attachment, op))
    }
    attachment.device.submit(io)
  })
}
