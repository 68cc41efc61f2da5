import { createConnection } from 'node:net'
import { BlockError } from '@blockbraid/core'
import { createLines } from './lines.ts'
import type { Request } from './protocol.ts'
import { decodeReply, encodeRequest, MAX_REPLY } from './protocol.ts'

/** Options of {@link callControl}. */
export interface CallOptions {
  /** Milliseconds. @defaultValue 60000 */
  timeout?: number
  /** Ends the wait for an answer; what the agent has begun goes on. */
  signal?: AbortSignal | undefined
}

/**
 * Asks the agent at a control socket once. Rejects with NOT_FOUND where none listens, DENIED where the
 * socket is another user's, TIMED_OUT, ABORTED, and with PROTOCOL for what the agent refused.
 */
export function callControl(path: string, request: Request, options: CallOptions = {}): Promise<unknown> {
  const { timeout = 60_000, signal } = options
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    const timer = setTimeout(() => fail(new BlockError('TIMED_OUT', `no answer within ${timeout / 1000} s`)), timeout)
    const finish = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.destroy()
    }
    const fail = (error: Error): void => {
      finish()
      reject(error)
    }
    const abort = (): void => fail(new BlockError('ABORTED', 'interrupted'))
    const lines = createLines(MAX_REPLY, (line) => {
      finish()
      try {
        resolve(decodeReply(line))
      } catch (error) {
        reject(new BlockError('PROTOCOL', (error as Error).message, { cause: error }))
      }
    })
    socket.on('connect', () => socket.write(encodeRequest(request)))
    socket.on('data', (chunk) => {
      if (!lines.push(chunk)) fail(new BlockError('TOO_LARGE', `the answer is longer than ${MAX_REPLY} bytes`))
    })
    socket.on('error', (error) => fail(connectError(path, error)))
    socket.on('close', () => fail(new BlockError('CLOSED', 'the agent ended before it answered')))
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
  })
}

function connectError(path: string, error: NodeJS.ErrnoException): BlockError {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new BlockError('DENIED', `not allowed to talk to the agent at ${path}: it belongs to another user`, {
      cause: error,
    })
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
    return new BlockError('NOT_FOUND', `no agent runs at ${path}: start one with "blockbraid up CONFIG"`, {
      cause: error,
    })
  return new BlockError('CONNECT_FAILED', `cannot talk to the agent at ${path}: ${error.message}`, { cause: error })
}
