import { Socket } from 'node:net'
import type { SignalOptions } from '@blockbraid/core'
import type { NbdExportStats } from '../export.ts'
import { Export } from '../export.ts'
import { ReplyStyle } from '../protocol.ts'
import type { InputPool } from '../transmission/input.ts'
import { Input } from '../transmission/input.ts'
import type { SessionContext } from '../transmission/session.ts'
import { Session } from '../transmission/session.ts'
import type { Gate } from './barrier.ts'
import { ACCEPTED } from './flags.ts'

/** What the connections of a transport share. */
export interface LinkContext extends SessionContext {
  readonly inputs: InputPool
}

/** One connection between the kernel and a device: our end of a socket pair, in the transmission phase from the start. */
export class KernelLink {
  readonly #target: Export
  readonly #socket: Socket
  readonly #session: Session
  #closed = false

  /** `onClosed` is called once, when the kernel or we have closed it; Ios may still be in flight. */
  constructor(context: LinkContext, fd: number, gate: Gate, name: string, onClosed: (link: KernelLink) => void) {
    this.#target = new Export(gate, name, '', false)
    const input = new Input(context.inputs)
    const socket = new Socket({
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      onread: {
        buffer: () => input.room(),
        callback: (size) => {
          this.#session.data(input.received(size))
          return true
        },
      },
    })
    this.#socket = socket
    // The kernel's client knows no structured replies.
    const negotiated = { style: ReplyStyle.Simple, allocation: false, flags: ACCEPTED }
    this.#session = new Session(context, socket, this.#target, negotiated, () => socket.destroy(), input)
    const over = (): void => {
      if (this.#closed) return
      this.#closed = true
      this.#session.closed()
      gate.drop()
      input.close()
      onClosed(this)
    }
    // The kernel closes both directions or none: nobody is left to read a reply. The barrier's look comes before
    // the news of the close.
    socket.on('end', () => {
      socket.destroy()
      over()
    })
    socket.on('error', over)
    socket.on('close', over)
    socket.resume()
  }

  /** Whether the connection is over. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the kernel said goodbye, as it does when a node is disconnected. */
  get left(): boolean {
    return this.#session.left
  }

  /** Closes the socket at once, without a word. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Takes no more requests and closes when those in flight are answered. */
  finish(): void {
    this.#session.finish()
  }

  /** Settles when the socket is closed and nothing of it is in flight; at once when the signal fires. */
  drained(options?: SignalOptions): Promise<void> {
    return this.#target.remove(options)
  }

  /** Counters. */
  stats(): NbdExportStats {
    return this.#target.stats()
  }
}
