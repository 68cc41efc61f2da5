import type { Socket } from 'node:net'
import type { BlockDevicePair, TraceSink } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { findPair } from '../running/find.ts'
import type { Running } from '../running/running.ts'
import type { Arguments } from './protocol.ts'
import { StreamedAnswer } from './streamed.ts'

/** A trace that begins. */
export interface TraceBegun {
  /** Name of the pair. */
  readonly pair: string
  /** Identity of its volume. */
  readonly volume: string
}

// Bytes that a client may be behind: what comes on top is lost, and counted in the trace. No I/O waits for a client.
const MOST_BEHIND = 8 * 2 ** 20

const traced = new WeakSet<BlockDevicePair>()

/** Has a client get all that a pair does. Throws IN_USE where another one does. */
export function tracePair(running: Running, { pair: name }: Arguments<'trace'>): StreamedAnswer<TraceBegun> {
  const pair = findPair(running, name)
  refuseSecond(pair)
  return new StreamedAnswer({ pair: pair.id, volume: pair.volume }, (socket) => {
    // Another one may have been quicker.
    if (traced.has(pair)) socket.destroy()
    else send(pair, socket)
  })
}

function refuseSecond(pair: BlockDevicePair): void {
  if (traced.has(pair)) throw new BlockError('IN_USE', `${pair.id} is traced already: one trace of a pair at a time`)
}

function send(pair: BlockDevicePair, socket: Socket): void {
  const sink: TraceSink = {
    write(chunk) {
      if (!socket.writable || socket.writableLength > MOST_BEHIND) return false
      socket.write(Buffer.from(chunk))
      return true
    },
    end() {
      traced.delete(pair)
      socket.end()
    },
  }
  const stop = (): void => {
    if (traced.has(pair)) pair.trace(undefined)
  }
  traced.add(pair)
  socket.on('data', stop)
  socket.on('close', stop)
  socket.resume()
  pair.trace(sink, { wall: Date.now() })
}
