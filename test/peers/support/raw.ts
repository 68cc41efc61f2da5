import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { parseNbdUri } from '@blockbraid/testkit'

/** Bytes that a client sends before it may send requests: flags, and GO for the export. */
export function opening(name: string): Buffer {
  const bytes = Buffer.alloc(4 + 16 + 4 + name.length + 2)
  // Fixed newstyle, no zeroes.
  bytes.writeUInt32BE(3, 0)
  bytes.write('IHAVEOPT', 4)
  bytes.writeUInt32BE(7, 12)
  bytes.writeUInt32BE(4 + name.length + 2, 16)
  bytes.writeUInt32BE(name.length, 20)
  bytes.write(name, 24)
  return bytes
}

/** Header of a simple request. */
export function request(type: number, offset: number, length: number, flags = 0, cookie = 1): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(0x25609513, 0)
  bytes.writeUInt16BE(flags, 4)
  bytes.writeUInt16BE(type, 6)
  bytes.writeBigUInt64BE(BigInt(cookie), 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}

/** A socket with nothing between it and the test. */
export interface RawSocket {
  readonly socket: Socket
  /** The next `length` bytes; rejects when the connection ends before. */
  read(length: number): Promise<Buffer>
  /** Settles when the connection is closed, however. */
  readonly closed: Promise<void>
}

/** Connects to the server of an export, and says nothing. */
export function dial(uri: string): Promise<RawSocket> {
  const { socket: path, host = '', port = 0 } = parseNbdUri(uri)
  const socket = path === undefined ? connect({ host, port }) : connect({ path })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  const read = async (length: number): Promise<Buffer> => {
    for (;;) {
      const bytes: unknown = socket.read(length)
      if (bytes instanceof Buffer && bytes.length === length) return bytes
      if (socket.readableEnded || socket.destroyed) throw new Error(`the server closed before ${length} bytes came`)
      await new Promise<void>((resolve) => {
        const go = (): void => {
          socket.off('readable', go)
          socket.off('end', go)
          socket.off('close', go)
          resolve()
        }
        socket.on('readable', go)
        socket.on('end', go)
        socket.on('close', go)
      })
    }
  }
  return new Promise((resolve, reject) => {
    socket.on('connect', () => resolve({ socket, read, closed }))
    socket.on('close', () => reject(new Error(`nobody answers at ${uri}`)))
  })
}

/** Connects to an export, up to where requests are sent and answered by simple replies. */
export async function dialExport(uri: string): Promise<RawSocket> {
  const raw = await dial(uri)
  await raw.read(18)
  raw.socket.write(opening(parseNbdUri(uri).name))
  for (;;) {
    const header = await raw.read(20)
    const length = header.readUInt32BE(16)
    if (length > 0) await raw.read(length)
    if (header.readUInt32BE(12) === 1) return raw
  }
}
