import { BlockError } from '@blockbraid/core'
import { put32le } from '@blockbraid/wire'
import type { Completion, Procedure } from '../nvme/procedure.ts'
import { SQE_LENGTH, submit } from '../nvme/procedure.ts'

const FABRICS = 0x7f
const SEND = 0x05
const RECEIVE = 0x06
// Security protocol of NVMe (SECP), and its specific fields.
const PROTOCOL = 0xe9
// The longest message, a challenge of SHA-512 with ffdhe8192, has 1104 bytes; Linux asks for as much as this.
const MOST = 4096

/** Authentication Send (NVMe Base 2.1 §6.2). Throws DENIED where the controller refuses it. */
export function* sendMessage(message: Buffer): Procedure<void> {
  check('Authentication Send', yield* submit({ sqe: entry(SEND, message.length), data: message }))
}

/** Authentication Receive (NVMe Base 2.1 §6.1). Throws DENIED where the controller refuses it. */
export function* receiveMessage(): Procedure<Uint8Array> {
  const completion = yield* submit({ sqe: entry(RECEIVE, MOST), data: MOST })
  check('Authentication Receive', completion)
  return completion.data
}

function entry(type: number, length: number): Buffer {
  const sqe = Buffer.alloc(SQE_LENGTH)
  sqe[0] = FABRICS
  sqe[4] = type
  sqe[41] = 1
  sqe[42] = 1
  sqe[43] = PROTOCOL
  put32le(sqe, 44, length)
  return sqe
}

function check(command: string, { status }: Completion): void {
  if (status === 0) return
  const code = `type ${(status >> 8) & 7}, code ${(status & 0xff).toString(16).padStart(2, '0')}h`
  throw new BlockError('DENIED', `authentication: the controller refuses ${command} (status ${code})`)
}
