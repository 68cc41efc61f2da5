/** What knows what stands behind it. */
export interface Linked<Item> {
  /** Null: nothing does. */
  next: Item | null
}

/** Items in order, linked by themselves. */
export class Chain<Item extends Linked<Item>> {
  /** The first one; null: it is empty. */
  head: Item | null = null
  #tail: Item | null = null

  /** Puts an item behind all others. */
  push(item: Item): void {
    item.next = null
    if (this.#tail === null) this.head = item
    else this.#tail.next = item
    this.#tail = item
  }

  /** Takes the first one out; null: it is empty. */
  shift(): Item | null {
    const item = this.head
    if (item === null) return null
    this.head = item.next
    if (this.head === null) this.#tail = null
    item.next = null
    return item
  }

  /** Takes items out, wherever they stand; returns how many there were. */
  remove(items: ReadonlySet<Item>): number {
    let count = 0
    let item = this.head
    this.head = null
    this.#tail = null
    while (item !== null) {
      const { next }: Linked<Item> = item
      item.next = null
      if (items.has(item)) count++
      else this.push(item)
      item = next
    }
    return count
  }
}
