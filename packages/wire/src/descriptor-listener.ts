import { lookup } from 'node:dns/promises'
import type { Timer } from '@blockbraid/core'
import {
  acceptSocket,
  closeFd,
  LinuxError,
  listenTcp,
  listenUnix,
  localPort,
  SocketStream,
  StreamEvent,
} from '@blockbraid/linux'
import type { DescriptorShared } from './descriptor-wire.ts'
import { DescriptorWire } from './descriptor-wire.ts'
import type { ListenAddress, ListenOptions, WireListener } from './listening.ts'

// As node:net has it.
const BACKLOG = 511
// Connections that are taken in one turn: a flood of them must not keep those that are open waiting.
const PER_TURN = 16
// Short of descriptors or memory: ms until it is tried again.
const REST = 100
const SHORT = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

/** Listens by the addon. Rejects with LinuxError ERR_NO_ADDON where there is none. */
export async function listenByDescriptor(where: ListenAddress, options: ListenOptions): Promise<WireListener> {
  if ('path' in where)
    return new DescriptorListener(
      explained(where.path, () => listenUnix(where.path, BACKLOG)),
      options,
    )
  const { host, port } = where
  const { address } = await lookup(host)
  const shown = port > 0 ? `${address}:${port}` : address
  return new DescriptorListener(
    explained(shown, () => listenTcp(address, port, BACKLOG)),
    options,
  )
}

/** Says where it cannot listen, as node:net does. */
function explained(where: string, listen: () => number): number {
  try {
    return listen()
  } catch (error) {
    if (!LinuxError.is(error) || error.errno === 0) throw error
    const { code, errno, syscall } = error
    // Without its own colon behind the call.
    const message = `${error.message.replace(`${syscall}: ${code}, `, `${syscall} ${code}: `)} ${where}`
    throw Object.assign(new Error(message, { cause: error }), { code, errno: -errno, syscall })
  }
}

class DescriptorListener implements WireListener {
  readonly port: number
  connections = 0
  readonly #fd: number
  readonly #options: ListenOptions
  readonly #shared: DescriptorShared
  readonly #stream: SocketStream
  #rest: Timer | undefined
  #closed = false
  #idle: (() => void) | undefined

  constructor(fd: number, options: ListenOptions) {
    const { clock, window, outputs } = options
    this.#fd = fd
    this.#options = options
    this.#shared = { clock, window, outputs, over: () => this.#left() }
    this.port = localPort(fd)
    try {
      this.#stream = new SocketStream(fd, () => this.#accept())
    } catch (error) {
      closeFd(fd)
      throw error
    }
    this.#stream.poll(StreamEvent.Readable)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#rest?.cancel()
    this.#stream.close()
    return new Promise((resolve) => {
      this.#idle = resolve
      if (this.connections === 0) resolve()
    })
  }

  #accept(): void {
    for (let count = 0; count < PER_TURN && !this.#closed; count++) {
      try {
        const fd = acceptSocket(this.#fd)
        if (fd === undefined) return
        if (this.connections < this.#options.maxConnections) this.#open(fd)
        else closeFd(fd)
      } catch (error) {
        if (!LinuxError.is(error)) throw error
        if (SHORT.includes(error.code)) return this.#pause()
        // A client that has gone again.
      }
    }
  }

  #open(fd: number): void {
    let wire: DescriptorWire
    try {
      wire = new DescriptorWire(fd, this.#shared, this.#options.keepAlive)
    } catch (error) {
      closeFd(fd)
      throw error
    }
    this.connections++
    this.#options.accept(wire)
  }

  /** Those who connect meanwhile wait. */
  #pause(): void {
    this.#stream.poll(0)
    this.#rest = this.#options.clock.after(REST, () => this.#stream.poll(StreamEvent.Readable))
  }

  #left(): void {
    this.connections--
    if (this.#closed && this.connections === 0) this.#idle?.()
  }
}
