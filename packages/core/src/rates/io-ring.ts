import type { Io } from '../io.ts'

/** Ios in order of arrival; takes no memory for each. */
export class IoRing {
  length = 0
  #slots: (Io | null)[] = new Array<Io | null>(64).fill(null)
  #first = 0

  get head(): Io | null {
    return this.#slots[this.#first] as Io | null
  }

  push(io: Io): void {
    if (this.length === this.#slots.length) this.#grow()
    this.#slots[(this.#first + this.length) & (this.#slots.length - 1)] = io
    this.length++
  }

  shift(): Io | null {
    const io = this.head
    if (io === null) return null
    this.#slots[this.#first] = null
    this.#first = (this.#first + 1) & (this.#slots.length - 1)
    this.length--
    return io
  }

  /** Takes out those that `pick` wants; both they and the others keep their order. */
  take(pick: (io: Io) => boolean): readonly Io[] {
    const taken: Io[] = []
    for (let count = this.length; count > 0; count--) {
      const io = this.shift() as Io
      if (pick(io)) taken.push(io)
      else this.push(io)
    }
    return taken
  }

  #grow(): void {
    const { length } = this.#slots
    const inOrder = [...this.#slots.slice(this.#first), ...this.#slots.slice(0, this.#first)]
    this.#slots = [...inOrder, ...new Array<Io | null>(length).fill(null)]
    this.#first = 0
  }
}
