import type { SocketStream } from '@blockbraid/linux'
import type { OutboxSocket } from './outbox.ts'

const EAGAIN = 11

/** Hears how sending over a socket goes. */
export interface SendingOwner {
  /** Whether to be told when there is room again. */
  blocked(is: boolean): void
  /** All that was written has left, and some of it had to wait. */
  emptied(): void
  /** The socket takes nothing any more. */
  failed(errno: number): void
}

/** What goes out over a {@link SocketStream}: at once where there is room, else from a queue when there is. */
export class Sending implements OutboxSocket {
  writableLength = 0
  destroyed = false
  readonly #stream: SocketStream
  readonly #owner: SendingOwner
  #corked = false
  /** Whether what is in the queue waits for room, and not for `uncork`. */
  #waits = false
  /** What waits; all of it is counted in `writableLength`. */
  #queue: Uint8Array[] = []
  /** Of each piece, whom to tell. */
  #told: ((() => void) | undefined)[] = []

  constructor(stream: SocketStream, owner: SendingOwner) {
    this.#stream = stream
    this.#owner = owner
  }

  cork(): void {
    this.#corked = true
  }

  uncork(): void {
    this.#corked = false
    if (this.destroyed || this.#queue.length === 0 || this.#waits) return
    const taken = this.#stream.sendViews(this.#queue, 0, this.#queue.length)
    if (taken === this.writableLength) this.#clear()
    else this.#rest(taken)
  }

  /** Whoever wrote is told by `left` only where not all was taken at once. */
  write(bytes: Uint8Array, left?: () => void): boolean {
    if (this.destroyed) return false
    if (this.#corked || this.#waits) {
      this.#queue.push(bytes)
      this.#told.push(left)
      this.writableLength += bytes.length
      return false
    }
    const taken = this.#stream.send(bytes, 0, bytes.length)
    if (taken === bytes.length) return true
    this.#queue.push(bytes)
    this.#told.push(left)
    this.writableLength = bytes.length
    this.#rest(taken)
    return false
  }

  /** There is room. */
  move(): void {
    if (this.destroyed || !this.#waits) return
    this.#rest(this.#stream.sendViews(this.#queue, 0, this.#queue.length))
  }

  /** Nothing is sent any more, and nobody told. */
  destroy(): void {
    this.destroyed = true
    this.#clear()
  }

  #clear(): void {
    this.writableLength = 0
    this.#queue = []
    this.#told = []
  }

  /** The socket has taken the first `taken` bytes of the queue, or says why not. */
  #rest(taken: number): void {
    if (taken < 0 && taken !== -EAGAIN) {
      this.#owner.failed(-taken)
      return
    }
    const before = this.#waits
    let done = 0
    let left = Math.max(taken, 0)
    this.writableLength -= left
    while (done < this.#queue.length && this.#queue[done]!.length <= left) left -= this.#queue[done++]!.length
    this.#queue.splice(0, done)
    const told = this.#told.splice(0, done)
    if (left > 0) this.#queue[0] = this.#queue[0]!.subarray(left)
    this.#waits = this.#queue.length > 0
    if (this.#waits !== before) this.#owner.blocked(this.#waits)
    if (!before) return
    for (const each of told) each?.()
    if (!this.#waits && !this.destroyed) this.#owner.emptied()
  }
}
