import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { BlockError } from '@blockbraid/core'
import type { NbdAddress } from './uri.ts'

/** A socket, and who gets what comes from it. */
export interface Connection {
  socket: Socket
  /** Takes bytes that are valid until it returns. */
  onBytes: (chunk: Buffer) => void
}

// One buffer for all that is read: a new one of 64 KiB for each small read costs more than the read.
const READ_SIZE = 256 * 1024

/** A connection whose bytes come as events. */
export function connectionOf(socket: Socket): Connection {
  const connection: Connection = { socket, onBytes() {} }
  socket.on('data', (chunk: Buffer) => connection.onBytes(chunk))
  return connection
}

/** Connects to a server; rejects with CONNECT_FAILED. */
export function dial({ socket: path, host = 'localhost', port = 0, tls }: NbdAddress): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_SIZE),
      callback(count: number, buffer: Uint8Array): boolean {
        connection.onBytes((buffer as Buffer).subarray(0, count))
        return true
      },
    }
    const where = path === undefined ? { host, port } : { path }
    // TLS takes the bytes of the socket by itself.
    const socket = connect(tls ? where : { ...where, onread })
    const connection: Connection = tls ? connectionOf(socket) : { socket, onBytes() {} }
    socket.setNoDelay(true)
    const failed = (cause: Error): void => {
      reject(new BlockError('CONNECT_FAILED', `NBD: ${cause.message}`, { cause }))
    }
    // Later errors are told by 'close', and under TLS nobody else listens.
    socket.on('error', failed)
    socket.once('connect', () => resolve(connection))
  })
}
