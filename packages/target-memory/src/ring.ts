/** First in, first out, in an array that is reused: pushing and shifting allocate nothing once it has grown. */
export class Ring<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(16).fill(undefined)
  #head = 0
  length = 0

  push(item: T): void {
    if (this.length === this.#items.length) this.#widen()
    this.#items[(this.#head + this.length) & (this.#items.length - 1)] = item
    this.length++
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.length--
    return item
  }

  /** Removes what `drop` returns true for. */
  sift(drop: (item: T) => boolean): void {
    for (let left = this.length; left > 0; left--) {
      const item = this.shift() as T
      if (!drop(item)) this.push(item)
    }
  }

  #widen(): void {
    const old = this.#items
    this.#items = old
      .slice(this.#head)
      .concat(old.slice(0, this.#head), new Array<undefined>(old.length).fill(undefined))
    this.#head = 0
  }
}
