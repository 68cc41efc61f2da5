import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createConnection } from 'node:net'
import { BlockError } from '@blockbraid/core'
import { callControl, untilSilent } from './client.ts'
import type { Request } from './protocol.ts'
import { decodeReply, encodeRequest } from './protocol.ts'

/** Bytes; a longer line before the stream is none. */
const LONGEST_LINE = 64 * 1024
/** How long the agent may take to end the stream, milliseconds. */
const LAST_TIME = 5000
const LATE = `the agent did not end what it sends within ${LAST_TIME / 1000} s`

/**
 * Asks an agent for what it answers with a stream, and hands that on until the agent ends it, or `signal` fires and what was
 * under way has come. Rejects as {@link callControl} does, also where the agent stops to answer meanwhile.
 */
export async function* streamControl(path: string, request: Request, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await callControl(path, { op: 'hello' }, { signal })
  const socket = createConnection(path)
  const over = new AbortController()
  try {
    await once(socket, 'connect')
    socket.write(encodeRequest(request))
    untilSilent(path, over.signal).catch((error: Error) => socket.destroy(error))
    yield* bytesBehind(socket, signal)
  } finally {
    over.abort()
    socket.destroy()
  }
}

async function* bytesBehind(socket: Socket, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let line: Buffer | undefined = Buffer.alloc(0)
  let last: NodeJS.Timeout | undefined
  const stop = (): void => {
    socket.write('\n')
    last = setTimeout(() => socket.destroy(new BlockError('TIMED_OUT', LATE)), LAST_TIME)
  }
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      if (line === undefined) {
        yield chunk
        continue
      }
      line = Buffer.concat([line, chunk])
      const end = line.indexOf(10)
      if (end < 0 && line.length > LONGEST_LINE) throw new BlockError('PROTOCOL', 'the answer makes no sense')
      if (end < 0) continue
      check(line.toString('utf8', 0, end))
      if (line.length > end + 1) yield line.subarray(end + 1)
      line = undefined
    }
  } finally {
    clearTimeout(last)
    signal.removeEventListener('abort', stop)
  }
  if (line !== undefined) throw new BlockError('CLOSED', 'the agent ended before it answered')
}

function check(line: string): void {
  try {
    decodeReply(line)
  } catch (error) {
    throw new BlockError('PROTOCOL', (error as Error).message, { cause: error })
  }
}
