import type { Procedure, Step } from '../../../src/nvme/procedure.ts'

/** The controller that a procedure of authentication talks to. */
export interface Peer {
  /** Takes a message; a status other than 0 refuses the command. */
  send(message: Buffer): number
  /** The message for the host; a number refuses the command. */
  receive(): Buffer | number
}

/** Runs a procedure against `peer`; its commands are noted in `seen`. */
export async function play<Result>(procedure: Procedure<Result>, peer: Peer, seen: Uint8Array[] = []): Promise<Result> {
  let { done, value } = procedure.next()
  while (!done) {
    let answer: unknown
    try {
      answer = await answerTo(value as Step, peer, seen)
    } catch (error) {
      ;({ done, value } = procedure.throw(error))
      continue
    }
    ;({ done, value } = procedure.next(answer))
  }
  return value as Result
}

async function answerTo(step: Step, peer: Peer, seen: Uint8Array[]): Promise<unknown> {
  if ('work' in step) return step.work()
  if ('pause' in step) return undefined
  seen.push(step.sqe)
  const isSend = step.sqe[4] === 5
  const answer = isSend ? peer.send(Buffer.from(step.data as Uint8Array)) : peer.receive()
  const [status, data] = typeof answer === 'number' ? [answer, Buffer.alloc(0)] : [0, answer]
  return { status, result: 0, resultHigh: 0, data }
}
