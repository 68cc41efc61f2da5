import type { Extent, Io } from '@blockbraid/core'

/** A request on its way, in a slot that is used again and again. */
export class NbdRequest {
  /** Place in the table of slots: the lower half of its cookie. */
  readonly slot: number
  /** Counts the uses of the slot: the upper half of its cookie. */
  generation = 0
  busy = false
  command = 0
  offset = 0
  length = 0
  /** Views that a read fills. */
  views: readonly Uint8Array[] = []
  /** First error of its reply, an errno; 0 if none. */
  errno = 0
  /** Bytes that a read has got. */
  received = 0
  /** What a block status has found. */
  extents: Extent[] = []
  /** The Io it serves, if it was submitted as one. */
  io: Io | null = null
  /** Called when it ends, if it was not submitted as an Io. */
  ended: (errno: number) => void = ignore

  #view = 0
  #at = 0

  constructor(slot: number) {
    this.slot = slot
  }

  /** Takes the slot into use. */
  begin(command: number, offset: number, length: number): void {
    this.generation = (this.generation + 1) >>> 0
    this.busy = true
    this.command = command
    this.offset = offset
    this.length = length
    this.errno = 0
    this.received = 0
    this.#view = 0
    this.#at = 0
  }

  /** Puts the cursor `position` bytes into the views. */
  seek(position: number): void {
    let left = position
    let index = 0
    while (index < this.views.length && left >= this.views[index]!.length) left -= this.views[index++]!.length
    this.#view = index
    this.#at = left
  }

  /** Copies a part of `chunk` to the cursor; the caller has checked that it fits. */
  take(chunk: Buffer, start: number, end: number): void {
    this.received += end - start
    let from = start
    while (from < end) {
      const view = this.views[this.#view]!
      const count = Math.min(end - from, view.length - this.#at)
      chunk.copy(view, this.#at, from, from + count)
      this.#advance(view, count)
      from += count
    }
  }

  /** Zeroes `count` bytes at the cursor. */
  zero(count: number): void {
    this.received += count
    let left = count
    while (left > 0) {
      const view = this.views[this.#view]!
      const part = Math.min(left, view.length - this.#at)
      view.fill(0, this.#at, this.#at + part)
      this.#advance(view, part)
      left -= part
    }
  }

  #advance(view: Uint8Array, count: number): void {
    this.#at += count
    if (this.#at < view.length) return
    this.#view++
    this.#at = 0
  }
}

function ignore(): void {}
