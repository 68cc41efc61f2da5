import { setTimeout as sleep } from 'node:timers/promises'
import { BlockError } from '@blockbraid/core'
import type { Answer } from './answers.ts'
import type { Conversation } from './conversation.ts'
import { converse } from './conversation.ts'
import type { AnyRequest, Request } from './protocol.ts'

/** Options of {@link callControl}. */
export interface CallOptions {
  /** Milliseconds. Left out: as long as it takes, while the agent shows that it lives. */
  timeout?: number
  /** Ends the wait for an answer; what the agent has begun goes on. */
  signal?: AbortSignal | undefined
}

/** How long an agent that lives may take to say so, milliseconds; with the next, five seconds at most. */
const HELLO_TIME = 3000
/** How often it is asked whether it lives while it works on a request, milliseconds. */
const HELLO_EVERY = 1000

/**
 * Asks the agent at a control socket once. Rejects with NOT_FOUND where none listens, DENIED where the
 * socket is another user's, TIMED_OUT where it does not answer at all, with its process id, ABORTED, and with
 * PROTOCOL for what the agent refused. It is asked nothing before it has said that it lives: what it was asked
 * while it hung it would do later, when nobody expects it.
 */
export async function callControl<Asked extends Request>(
  path: string,
  request: Asked,
  options: CallOptions = {},
): Promise<Answer<Asked['op']>> {
  return (await callSocket(path, request, options)) as Answer<Asked['op']>
}

/** The same of whatever listens there and has operations of its own. */
export async function callSocket(path: string, request: AnyRequest, options: CallOptions = {}): Promise<unknown> {
  const { timeout, signal } = options
  const conversation = converse(path, signal)
  const over = new AbortController()
  try {
    const alive = await hello(path, conversation, Math.min(HELLO_TIME, timeout ?? HELLO_TIME))
    if (request.op === 'hello') return alive
    const silent = untilSilent(path, over.signal)
    silent.catch(() => {})
    return await Promise.race([conversation.ask(request, timeout), silent])
  } finally {
    over.abort()
    conversation.close()
  }
}

async function hello(path: string, conversation: Conversation, limit: number): Promise<unknown> {
  const silent = new AbortController()
  const late = sleep(limit, undefined, { signal: silent.signal }).then(() => {
    // Asked for while the connection stands.
    return conversation.peer().then((pid) => Promise.reject(silence(path, pid, limit)))
  })
  try {
    return await Promise.race([conversation.ask({ op: 'hello' }), late])
  } finally {
    silent.abort()
  }
}

function silence(path: string, pid: number | undefined, limit: number): BlockError {
  const who = pid === undefined ? `the agent at ${path}` : `agent ${pid}`
  const cure = `"kill -9 ${pid ?? 'PID'}" ends it and leaves its kernel nodes to the next agent`
  return new BlockError(
    'TIMED_OUT',
    `${who} does not answer within ${limit / 1000} s (control socket ${path}): it is stopped, or its event loop hangs, ` +
      `which its own log tells; ${cure}`,
  )
}

/**
 * Rejects with TIMED_OUT when the agent at a control socket has stopped to answer, and when `signal` fires; what takes long
 * does not matter.
 */
export async function untilSilent(path: string, signal: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(HELLO_EVERY, undefined, { signal })
    const conversation = converse(path, signal)
    try {
      await hello(path, conversation, HELLO_TIME)
    } catch (error) {
      // Whatever else happens to this connection is told by the one that waits for the answer.
      if (BlockError.is(error) && error.code === 'TIMED_OUT') throw error
    } finally {
      conversation.close()
    }
  }
}
