import { get32le } from '@blockbraid/wire'
import type { QueueAuth } from '../auth/queue-auth.ts'
import { FabricsType } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'

/** SECP, SPSP0 and SPSP1 of authentication (NVMe Base 2.1 §6.1). */
const PROTOCOL = 0xe9
const SPECIFIC = 0x01

/** A queue, as its fabrics commands see it. */
interface FabricsQueue {
  readonly id: number
  readonly auth: QueueAuth | undefined
  end(request: Request, status: Status): void
  endWithData(request: Request, views: readonly Uint8Array[], length: number): void
  finish(): void
}

/** Whether it is one of those that a host proves itself by. */
export function isAuthentication({ entry }: Request): boolean {
  return entry[4] === FabricsType.authSend || entry[4] === FabricsType.authReceive
}

/** Authentication Send and Receive (NVMe Base 2.1 §6.1, §6.2). */
export async function authenticate(queue: FabricsQueue, request: Request): Promise<void> {
  const { auth } = queue
  const { entry } = request
  if (auth === undefined) return queue.end(request, Sc.invalidOpcode | DNR)
  if (entry[43] !== PROTOCOL || entry[42] !== SPECIFIC || entry[41] !== SPECIFIC) {
    return queue.end(request, Sc.invalidField | DNR)
  }
  if (get32le(entry, 44) !== request.length) return queue.end(request, Sc.dataLength | DNR)
  const { serial } = request
  if (entry[4] === FabricsType.authSend) {
    await auth.send(Buffer.concat(request.views))
    if (request.serial === serial) queue.end(request, 0)
  } else {
    const message = await auth.receive(request.length)
    if (request.serial !== serial) return
    if (message === undefined) queue.end(request, Sc.sequenceError | DNR)
    else queue.endWithData(request, [message], message.length)
  }
  if (auth.over) queue.finish()
}

/** Disconnect (NVMe Base 2.1 §6.4): ends an I/O queue. */
export function disconnect(queue: FabricsQueue, request: Request): void {
  if (queue.id === 0) return queue.end(request, Sc.invalidField | DNR)
  queue.end(request, 0)
  queue.finish()
}
