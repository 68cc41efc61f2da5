import type { Clock, SignalOptions } from '@blockbraid/core'
import type { InputWindow } from '@blockbraid/wire'
import { DescriptorWire } from '@blockbraid/wire'
import type { NbdExportStats } from '../export.ts'
import { Export } from '../export.ts'
import { ReplyStyle } from '../protocol.ts'
import type { SessionContext } from '../transmission/context.ts'
import { Session } from '../transmission/session.ts'
import type { Gate } from './barrier.ts'
import { ACCEPTED } from './flags.ts'

/** What the connections of a transport share. */
export interface LinkContext extends SessionContext {
  readonly window: InputWindow
}

/** One connection between the kernel and a device: our end of a socket pair, in the transmission phase from the start. */
export class KernelLink {
  readonly #clock: Clock
  readonly #target: Export
  readonly #gate: Gate
  readonly #wire: DescriptorWire
  readonly #session: Session
  readonly #onClosed: (link: KernelLink) => void
  #closed = false

  /** `onClosed` is called once, when the kernel or we have closed it; Ios may still be in flight. */
  constructor(context: LinkContext, fd: number, gate: Gate, name: string, onClosed: (link: KernelLink) => void) {
    const { host, window, outputs } = context
    this.#target = new Export(gate, name, '', false)
    this.#clock = host.clock
    this.#gate = gate
    this.#onClosed = onClosed
    this.#wire = new DescriptorWire(fd, { clock: host.clock, window, outputs })
    // The kernel's client knows no structured replies.
    const negotiated = { style: ReplyStyle.Simple, allocation: false, flags: ACCEPTED }
    const session = new Session(context, this.#wire, this.#target, negotiated, () => this.destroy(), false)
    this.#session = session
    this.#wire.sink = {
      bytes: (chunk, start, end) => session.bytes(chunk, start, end),
      // The kernel closes both directions or none: nobody is left to read a reply.
      finished: () => {
        this.#wire.destroy()
        this.#over()
      },
      closed: () => this.#over(),
    }
  }

  /** Whether the connection is over. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the kernel said goodbye, as it does when a node is disconnected. */
  get left(): boolean {
    return this.#session.left
  }

  /** Closes the socket at once, without a word; `onClosed` is called soon. */
  destroy(): void {
    this.#wire.destroy()
    this.#clock.defer(() => this.#over())
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

  #over(): void {
    if (this.#closed) return
    this.#closed = true
    this.#session.closed()
    this.#gate.drop()
    this.#onClosed(this)
  }
}
