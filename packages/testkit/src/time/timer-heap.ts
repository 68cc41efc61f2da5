/** A timer of a virtual clock. */
export interface HeapTimer {
  /** Virtual time, µs. */
  readonly due: number
  /** Order among timers due at the same time, then order of creation. */
  readonly tie: number
  readonly sequence: number
  callback: (() => void) | undefined
}

function before(a: HeapTimer, b: HeapTimer): boolean {
  if (a.due !== b.due) return a.due < b.due
  return a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence
}

/** Pending timers, the next one first. A cancelled timer has no callback and leaves the heap later. */
export class TimerHeap {
  #items: HeapTimer[] = []
  #cancelled = 0

  /** Timers that will still fire. */
  get size(): number {
    return this.#items.length - this.#cancelled
  }

  push(timer: HeapTimer): void {
    this.#items.push(timer)
    this.#up(this.#items.length - 1)
  }

  cancel(timer: HeapTimer): void {
    if (timer.callback === undefined) return
    timer.callback = undefined
    this.#cancelled++
    // Long time-outs are nearly always cancelled: do not let them pile up.
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#items.length) this.#compact()
  }

  /** The timer that fires next, left in place. */
  peek(): HeapTimer | undefined {
    for (;;) {
      const first = this.#items[0]
      if (first === undefined || first.callback !== undefined) return first
      this.#removeFirst()
      this.#cancelled--
    }
  }

  /** Takes the timer that fires next. */
  pop(): HeapTimer | undefined {
    const first = this.peek()
    if (first !== undefined) this.#removeFirst()
    return first
  }

  #removeFirst(): void {
    const last = this.#items.pop()
    if (last === undefined || this.#items.length === 0) return
    this.#items[0] = last
    this.#down(0)
  }

  #compact(): void {
    this.#items = this.#items.filter((timer) => timer.callback !== undefined).sort((a, b) => (before(a, b) ? -1 : 1))
    this.#cancelled = 0
  }

  #up(start: number): void {
    const items = this.#items
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(items[at]!, items[parent]!)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #down(start: number): void {
    const items = this.#items
    let at = start
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < items.length && before(items[child]!, items[least]!)) least = child
      }
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #swap(a: number, b: number): void {
    const items = this.#items
    const kept = items[a]!
    items[a] = items[b]!
    items[b] = kept
  }
}
