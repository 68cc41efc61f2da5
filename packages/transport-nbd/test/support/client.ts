import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { CLIENT_FLAGS, go } from './wire.ts'

/** A client on a real socket that sends bytes and reads exact numbers of them. */
export class Client {
  readonly socket: Socket
  /** Settles when the connection is over. */
  readonly closed: Promise<void>
  #chunks: Buffer[] = []
  #length = 0
  #wake: (() => void) | undefined
  #over = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes)
      this.#length += bytes.length
      this.#wake?.()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        this.#over = true
        this.#wake?.()
        resolve()
      }),
    )
  }

  /** Connects, and reads the greeting. */
  static async open(where: { path: string } | { host: string; port: number }): Promise<Client> {
    const client = new Client(connect(where))
    await client.read(18)
    return client
  }

  /** Connects and enters transmission with simple replies. */
  static async enter(where: { path: string } | { host: string; port: number }, name: string): Promise<Client> {
    const client = await Client.open(where)
    client.send(CLIENT_FLAGS, go(name))
    // Two INFO replies and the ACK.
    await client.read(32 + 34 + 20)
    return client
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  /** The next `size` bytes; rejects when the connection ends before. */
  async read(size: number): Promise<Buffer> {
    while (this.#length < size) {
      if (this.#over) throw new Error(`connection closed after ${this.#length} of ${size} bytes`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all.subarray(size)]
    this.#length -= size
    return all.subarray(0, size)
  }
}
