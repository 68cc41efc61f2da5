import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { messageOf } from '@blockbraid/core'
import { createLines } from './lines.ts'
import type { OperationTable, Request } from './protocol.ts'
import { decodeRequest, encodeError, encodeResult, MAX_REQUEST, operations as ofAgents } from './protocol.ts'
import { listenOnFile } from './socket-file.ts'
import { StreamedAnswer } from './streamed.ts'

/** Answers a request. What it throws becomes the error of the reply. */
export type Handler = (request: Request) => Promise<unknown>

/** Limits of a {@link ControlServer}. */
export interface ControlServerOptions {
  /** Clients at once; more are turned away. @defaultValue 64 */
  maxConnections?: number
  /** How long a client may be silent, or not read, milliseconds. @defaultValue 10000 */
  timeout?: number
  /** What can be asked. @defaultValue what an agent can be */
  operations?: OperationTable
  /** What to do where another one listens already. @defaultValue to have it taken over */
  advice?: string
}

/** A control socket that is listened on. */
export interface ControlServer {
  /** Ends every connection and removes the socket. */
  close(): Promise<void>
}

/** Listens on a unix socket of mode 0600. Rejects with IN_USE where another agent answers. */
export async function serveControl(
  path: string,
  handle: Handler,
  {
    maxConnections = 64,
    timeout = 10_000,
    operations = ofAgents,
    advice = '"blockbraid up --take-over" replaces it',
  }: ControlServerOptions = {},
): Promise<ControlServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveClient(socket, (line) => answer(line, handle, operations), timeout)
  })
  server.maxConnections = maxConnections
  const remove = await listenOnFile(server, path, advice)
  return {
    async close() {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await remove()
      await ended
    },
  }
}

// One request at a time: while it is worked on the socket is not read, so a client that sends many
// waits, and costs no more than what one read brought in.
function serveClient(socket: Socket, answer: (line: string) => Promise<Answered>, timeout: number): void {
  const waiting: string[] = []
  let busy = false
  const lines = createLines(MAX_REQUEST, (line) => waiting.push(line))

  const next = (): void => {
    if (busy || socket.destroyed) return
    const line = waiting.shift()
    if (line === undefined) {
      socket.setTimeout(timeout)
      socket.resume()
      return
    }
    busy = true
    socket.pause()
    socket.setTimeout(0)
    answer(line).then(({ reply, begin }) => {
      if (socket.destroyed) return
      if (begin !== undefined) return handOn(reply, begin)
      socket.setTimeout(timeout)
      // The next request waits until this reply was taken: a client that does not read gets no further.
      socket.write(reply, () => {
        busy = false
        next()
      })
    })
  }
  const take = (chunk: Buffer): void => {
    if (lines.push(chunk)) return next()
    socket.off('data', take)
    socket.end(encodeError(`the request is longer than ${MAX_REQUEST} bytes`), () => socket.destroy())
  }
  // No request comes any more.
  const handOn = (reply: string, begin: (socket: Socket) => void): void => {
    socket.off('data', take)
    socket.write(reply)
    begin(socket)
  }
  socket.on('data', take)
  socket.on('timeout', () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.setTimeout(timeout)
}

/** A line, and who gets the connection after it. */
interface Answered {
  readonly reply: string
  readonly begin?: (socket: Socket) => void
}

async function answer(line: string, handle: Handler, operations: OperationTable): Promise<Answered> {
  const request = decodeRequest(line, operations)
  if (typeof request === 'string') return { reply: encodeError(request) }
  try {
    const result = await handle(request)
    if (result instanceof StreamedAnswer) return { reply: encodeResult(result.result), begin: result.begin }
    return { reply: encodeResult(result) }
  } catch (error) {
    return { reply: encodeError(messageOf(error)) }
  }
}
