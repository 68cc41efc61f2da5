import { IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Attachment } from '../namespace/attachment.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import { rangeOf } from './changes.ts'
import { perform } from './outcome.ts'

/** Bytes that Compare brings. */
export function compareLength(entry: Buffer, attachment: Attachment): number {
  return rangeOf(entry, attachment)?.length ?? 0
}

/** Compare (NVM command set 1.1 §3.3.1). */
export async function compare(request: Request, attachment: Attachment, data: Buffer): Promise<Status> {
  const range = rangeOf(request.entry, attachment)
  if (range === undefined) return Sc.outOfRange | DNR
  const views: Uint8Array[] = []
  const status = await perform(attachment, IoOp.Read, range.offset, range.length, 0, NO_BUFFERS, views)
  if (status !== 0) return status
  return Buffer.concat(views).equals(data.subarray(0, range.length)) ? 0 : Sc.compareFailed | DNR
}

/** Verify (NVM command set 1.1 §3.3.5): reads, and gives nothing. */
export async function verify(request: Request, attachment: Attachment): Promise<Status> {
  const range = rangeOf(request.entry, attachment)
  if (range === undefined) return Sc.outOfRange | DNR
  const most = attachment.device.limits.maxTransfer
  for (let at = 0; at < range.length; at += most) {
    const status = await perform(attachment, IoOp.Read, range.offset + at, Math.min(most, range.length - at))
    if (status !== 0) return status
  }
  return 0
}
