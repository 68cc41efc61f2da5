import type { Socket } from 'node:net'
import { createConnection } from 'node:net'
import { BlockError } from '@blockbraid/core'
import { createLines } from './lines.ts'
import type { AnyRequest } from './protocol.ts'
import { decodeReply, encodeRequest, MAX_REPLY } from './protocol.ts'

/** A connection to a control socket. */
export interface Conversation {
  /**
   * Asks once, and again only after the answer. Rejects with NOT_FOUND where none listens, DENIED, CLOSED, ABORTED,
   * PROTOCOL for what the agent refused, TIMED_OUT after `limit` milliseconds.
   */
  ask(request: AnyRequest, limit?: number): Promise<unknown>
  /** The process at the other end, as the kernel says; undefined where it cannot be known. */
  peer(): Promise<number | undefined>
  close(): void
}

/** Begins to connect to a control socket; `signal` ends every wait for an answer. */
export function converse(path: string, signal?: AbortSignal): Conversation {
  const socket = createConnection(path)
  let waiting: { resolve(answer: unknown): void; reject(error: Error): void } | undefined
  let ended: Error | undefined
  const fail = (error: Error): void => {
    ended ??= error
    socket.destroy()
    waiting?.reject(ended)
  }
  const abort = (): void => fail(new BlockError('ABORTED', 'interrupted'))
  const lines = createLines(MAX_REPLY, (line) => {
    try {
      waiting?.resolve(decodeReply(line))
    } catch (error) {
      waiting?.reject(new BlockError('PROTOCOL', (error as Error).message, { cause: error }))
    }
  })
  socket.on('data', (chunk) => {
    if (!lines.push(chunk)) fail(new BlockError('TOO_LARGE', `the answer is longer than ${MAX_REPLY} bytes`))
  })
  socket.on('error', (error) => fail(connectError(path, error)))
  socket.on('close', () => fail(new BlockError('CLOSED', 'the agent ended before it answered')))
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  return {
    async ask(request, limit) {
      if (ended !== undefined) throw ended
      const late = (): void => fail(new BlockError('TIMED_OUT', `no answer within ${Number(limit) / 1000} s`))
      const timer = limit === undefined ? undefined : setTimeout(late, limit)
      try {
        return await new Promise((resolve, reject) => {
          waiting = { resolve, reject }
          socket.write(encodeRequest(request))
        })
      } finally {
        waiting = undefined
        clearTimeout(timer)
      }
    },
    peer: () => peerOf(socket),
    close() {
      signal?.removeEventListener('abort', abort)
      socket.destroy()
    },
  }
}

async function peerOf(socket: Socket): Promise<number | undefined> {
  // Node has no other way to the number of a socket's descriptor.
  const { fd } = (socket as unknown as { _handle: { fd: number } | null })._handle ?? { fd: -1 }
  if (socket.connecting || fd < 0) return undefined
  try {
    // Read in only where it is needed: few commands meet an agent that hangs.
    const { peerPid } = await import('@blockbraid/linux')
    return peerPid(fd) || undefined
  } catch {
    return undefined
  }
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
