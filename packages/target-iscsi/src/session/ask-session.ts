import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { get32, put32 } from '@blockbraid/wire'
import { FINAL, TaskFunction } from '../pdu/encode.ts'
import { NO_TAG, Request } from '../pdu/opcode.ts'
import type { RequestAnswer } from './requests.ts'

/**
 * Sends an immediate request, whose header `fill` completes and whose data it returns; resolves to the answer.
 * `tag` is that of a sequence that goes on.
 */
export type SendRequest = (
  what: string,
  opcode: number,
  flags: number,
  fill: (header: Buffer) => Buffer | undefined,
  tag?: number,
) => Promise<RequestAnswer>

/** What names a task in a task management request. */
export interface TaskReference {
  readonly lunHigh: number
  readonly lunLow: number
  readonly tag: number
  readonly cmdSn: number
}

/** What bounds a text answer. */
export interface TextLimits {
  /** Bytes of all text. */
  readonly limit: number
  readonly clock: Clock
  /** Milliseconds within which the last part must be asked for. */
  readonly timeout: number
}

/** Sends text keys and resolves to all text of the answer (RFC 7143 §11.10). */
export async function askText(
  send: SendRequest,
  payload: Buffer,
  { limit, clock, timeout }: TextLimits,
  fault: (what: string) => BlockError,
): Promise<Buffer> {
  const parts: Buffer[] = []
  const deadline = clock.now() + timeout * 1000
  let total = 0
  let next = payload
  let before: Buffer | undefined
  for (;;) {
    // All of a sequence have the task tag of the first, and what the target has marked its answer with.
    const answer = before
    const fill = (request: Buffer): Buffer => {
      answer?.copy(request, 8, 8, 24)
      return next
    }
    const tag = answer === undefined ? undefined : get32(answer, 16)
    const { header, data } = await send('a text request', Request.Text, FINAL, fill, tag)
    parts.push(data)
    total += data.length
    if (total > limit) throw fault(`a text answer of more than ${limit} bytes`)
    if (((header[1] as number) & FINAL) !== 0) return Buffer.concat(parts)
    if (get32(header, 20) === NO_TAG || data.length === 0) throw fault('a text answer that goes on for ever')
    if (clock.now() > deadline) throw new BlockError('TIMED_OUT', `no end of a text answer within ${timeout} ms`)
    before = header
    next = Buffer.alloc(0)
  }
}

/** Asks for a logout of the session; resolves when it is answered (RFC 7143 §11.14). */
export async function askLogout(send: SendRequest): Promise<void> {
  await send('a logout request', Request.Logout, FINAL, (request) => {
    put32(request, 20, 0)
    return undefined
  })
}

/** Asks for a task management function; resolves to whether the target did it (RFC 7143 §11.5, §11.6.1). */
export async function askTaskFunction(send: SendRequest, code: number, task: TaskReference): Promise<boolean> {
  const { header } = await send('a task management request', Request.TaskManagement, FINAL | code, (request) => {
    put32(request, 8, task.lunHigh)
    put32(request, 12, task.lunLow)
    if (code === TaskFunction.AbortTask) {
      put32(request, 20, task.tag)
      put32(request, 32, task.cmdSn)
    }
    return undefined
  })
  // 0: it has ended now; 1: it had ended before.
  return header[2] === 0 || (header[2] === 1 && code === TaskFunction.AbortTask)
}
