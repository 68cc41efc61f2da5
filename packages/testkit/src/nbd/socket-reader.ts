import { BlockError } from '@blockbraid/core'
import type { Connection } from './connection.ts'

// No part of a handshake is longer.
const MAX_READ = 1 << 20

/** Reads exact numbers of bytes from a socket, for the handshake. */
export class SocketReader {
  readonly #connection: Connection
  #data: Buffer = Buffer.alloc(0)
  #end: Error | undefined
  #wake: () => void = () => {}

  constructor(connection: Connection) {
    const { socket } = connection
    this.#connection = connection
    connection.onBytes = this.#onBytes
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  /** The next `count` bytes; rejects when the connection ends before. */
  async read(count: number): Promise<Buffer> {
    if (count > MAX_READ) throw new BlockError('PROTOCOL', `the server announces ${count} bytes in its handshake`)
    while (this.#data.length < count) {
      if (this.#end !== undefined) throw this.#end
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const taken = this.#data.subarray(0, count)
    this.#data = this.#data.subarray(count)
    return taken
  }

  /** Lets go of the socket, paused, and gives what was not read. */
  release(): Buffer {
    const { socket } = this.#connection
    socket.pause()
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    return this.#data
  }

  /** Ends the reading with an error. */
  fail(error: Error): void {
    this.#end ??= error
    this.#wake()
  }

  readonly #onBytes = (chunk: Buffer): void => {
    this.#data = Buffer.concat([this.#data, chunk])
    if (this.#data.length > MAX_READ) this.#connection.socket.pause()
    this.#wake()
  }

  readonly #onError = (cause: Error): void => {
    this.fail(new BlockError('CONNECT_FAILED', `NBD: ${cause.message}`, { cause }))
  }

  readonly #onClose = (): void => {
    this.fail(new BlockError('CONNECT_FAILED', 'NBD: the server closed the connection during the handshake'))
  }
}
