import { Socket } from 'node:net'
import { getSystemErrorMap } from 'node:util'
import type { Clock } from '@blockbraid/core'
import { SocketStream, StreamEvent } from '@blockbraid/linux'
import type { InputSlab } from './input.ts'
import type { InputWindow } from './input-window.ts'
import { ROOM } from './input-window.ts'
import { Outbox } from './outbox.ts'
import type { OutboxPool } from './outbox-pool.ts'
import type { SendingOwner } from './sending.ts'
import { Sending } from './sending.ts'
import { beginTurn, endTurn } from './turn.ts'
import type { DetachableWire, WireSink } from './wire.ts'

/** What the wires of a server share. */
export interface DescriptorShared {
  /** What their turns end by. */
  readonly clock: Clock
  /** What all of them are read into. */
  readonly window: InputWindow
  /** What is sent from. */
  readonly outputs: OutboxPool
  /** A wire's socket has closed, also where another has taken it over. */
  over?(): void
}

const EAGAIN = 11
// In one turn. All that is there is read, so that an end behind it is seen when the sockets are looked at next.
const MAX_READS = 32

/** A wire over a connected socket of which there is only the descriptor. The addon of `@blockbraid/linux` must be there. */
export class DescriptorWire implements DetachableWire, SendingOwner {
  readonly outbox: Outbox
  sink: WireSink | null = null
  readonly #shared: DescriptorShared
  readonly #stream: SocketStream
  readonly #sending: Sending
  /** Bytes that the next read may take: more, while reads fill it. */
  #size = ROOM
  #paused = false
  /** FIN came. */
  #finished = false
  #blocked = false
  #ending = false
  #over = false
  /** What the stream is polled for. */
  #polled = 0

  /** Takes `fd` over. `keepAlive`: seconds of silence after which a TCP peer is probed. Throws LinuxError. */
  constructor(fd: number, shared: DescriptorShared, keepAlive = 0) {
    this.#shared = shared
    this.#stream = new SocketStream(fd, this.#onEvents, { keepAlive })
    this.#sending = new Sending(this.#stream, this)
    this.outbox = new Outbox(this.#sending, shared.outputs, shared.clock)
    this.#poll()
  }

  retain(): void {
    this.#shared.window.retain()
  }

  hold(): InputSlab {
    return this.#shared.window.hold()
  }

  pause(): void {
    this.#paused = true
    this.#poll()
  }

  /** Reads on; the first read takes 64 KiB at most. */
  resume(): void {
    this.#paused = false
    this.#size = ROOM
    this.#poll()
  }

  end(): void {
    this.outbox.flush()
    this.#ending = true
    if (this.#sending.writableLength === 0) this.emptied()
  }

  destroy(): void {
    this.#end(false)
  }

  reset(): void {
    this.#end(true)
  }

  detach(): Socket {
    this.sink = null
    this.#over = true
    this.#sending.destroy()
    this.outbox.drop()
    const socket = new Socket({ fd: this.#stream.release(), readable: true, writable: true, allowHalfOpen: true })
    socket.once('close', () => this.#shared.over?.())
    return socket.pause()
  }

  // SendingOwner

  blocked(is: boolean): void {
    this.#blocked = is
    this.#poll()
  }

  emptied(): void {
    if (!this.#ending || this.#over) return
    this.#stream.shutdown()
    this.#close(undefined)
  }

  failed(errno: number): void {
    this.#close(systemError('write', errno))
  }

  readonly #onEvents = (events: number): void => {
    const stopped = (events & StreamEvent.Stopped) !== 0
    if (stopped) this.#polled = 0
    if (stopped || (events & StreamEvent.Writable) !== 0) this.#sending.move()
    if (this.#over) return
    if ((events & StreamEvent.Readable) !== 0 && !this.#paused && !this.#finished) this.#read()
    if (stopped) this.#poll()
  }

  #read(): void {
    for (let reads = 0; reads < MAX_READS && !this.#paused && !this.#over; reads++) {
      const { window } = this.#shared
      const bytes = window.open()
      const { start } = window
      const size = Math.min(this.#size, bytes.length - start)
      const count = this.#stream.receive(bytes, start, start + size)
      if (count <= 0) return this.#nothingRead(count)
      const filled = count === size
      this.#size = filled ? size * 2 : ROOM
      this.#see(bytes, start, start + count)
      window.pass(count)
      if (!filled) return
    }
  }

  // What is sent because of one read leaves before the next: the other end works on it meanwhile.
  #see(bytes: Buffer, start: number, end: number): void {
    beginTurn()
    try {
      this.sink?.bytes(bytes, start, end)
    } finally {
      endTurn()
    }
  }

  #nothingRead(result: number): void {
    if (result === 0) {
      this.#finished = true
      this.#poll()
      this.sink?.finished()
    } else if (result !== -EAGAIN) this.#close(systemError('read', -result))
  }

  #poll(): void {
    if (this.#over) return
    const wanted =
      (this.#paused || this.#finished ? 0 : StreamEvent.Readable) | (this.#blocked ? StreamEvent.Writable : 0)
    if (wanted === this.#polled) return
    this.#polled = wanted
    const result = this.#stream.poll(wanted)
    if (result < 0) this.#close(systemError('poll', -result))
  }

  #end(hard: boolean): void {
    this.sink = null
    if (this.#over) return
    this.#over = true
    this.#sending.destroy()
    this.outbox.drop()
    this.#stream.close(hard)
    this.#shared.over?.()
  }

  /** It is over by itself: told at the end of the turn, so that nobody hears of it inside of a call. */
  #close(error: Error | undefined): void {
    if (this.#over) return
    const { sink } = this
    this.#end(false)
    this.sink = sink
    this.#shared.clock.defer(() => {
      const told = this.sink
      this.sink = null
      told?.closed(error)
    })
  }
}

/** The error as node:net has it. */
function systemError(syscall: string, errno: number): Error {
  const code = getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: -errno, syscall })
}
