import { put32le } from '@blockbraid/wire'
import type { Completion, Procedure } from './procedure.ts'
import { SQE_LENGTH, submit } from './procedure.ts'

const ABORT = 0x08

/** Asks a controller to end a command early (NVMe Base 2.1 §5.1.1): a hint, whatever it answers. */
export function* abort(queueId: number, cid: number): Procedure<Completion> {
  const sqe = Buffer.alloc(SQE_LENGTH)
  sqe[0] = ABORT
  put32le(sqe, 40, queueId | (cid << 16))
  return yield* submit({ sqe, data: 0 })
}
