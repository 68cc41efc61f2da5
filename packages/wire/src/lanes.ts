import type { Linked } from './chain.ts'
import { Chain } from './chain.ts'

// So much is for lanes that have little sent, or one place for each, but a quarter of all at most.
const RESERVE = 16
// While others send too, a lane that has a command sent has no more bytes on their way than so many: they share a
// connection, and what is small would wait behind all of them.
const MOST_BYTES = 2 ** 20
// Others count as sending as long as one of so many commands was theirs.
const RECENT = 256

const none = (): number => 0

/** The commands of one unit among those that share a window, or a queue. */
export class Lane<Item extends Linked<Item>> {
  /** Commands that were sent and have not ended, also those that nobody waits for any more. */
  sent = 0
  /** Bytes of the data of those that somebody waits for. */
  bytes = 0
  /** How many may send commands in it. */
  users = 0
  /** Commands that wait for a place, in order. */
  readonly waiting = new Chain<Item>()
}

/**
 * Shares places that are few between lanes, in turn: what one of them does not get answered must not take all. Which places
 * there are, and who is in them, its owner knows.
 */
export class Lanes<Item extends Linked<Item>> {
  /** Commands that wait for a place. */
  waiting = 0
  #sent = 0
  // Those that somebody may send in, or has something in.
  #count = 0
  // Those in which commands wait.
  #queue: Lane<Item>[] = []
  readonly #bytesOf: (item: Item) => number
  // The lane that has sent last, how many commands were sent by then, and by when another one had.
  #last: Lane<Item> | null = null
  #begun = 0
  #otherAt = -RECENT

  /** `bytesOf`: how many bytes of data a command has, either way. @defaultValue none */
  constructor(bytesOf: (item: Item) => number = none) {
    this.#bytesOf = bytesOf
  }

  /** Somebody may send commands in a lane from now on: it has its part, and has it before it has sent any. */
  open(lane: Lane<Item>): void {
    if (lane.users++ === 0 && lane.sent === 0) this.#count++
  }

  /** Somebody sends no more; its part goes to the others when the last of what it has sent has ended. */
  close(lane: Lane<Item>): void {
    if (--lane.users === 0 && lane.sent === 0) this.#count--
  }

  /** Whether a command with so many bytes may go where there is room for so many commands. */
  mayGo(lane: Lane<Item>, room: number, bytes = 0): boolean {
    if (room <= 0) return false
    const others = this.#count - 1
    if (lane.sent === 0 || others === 0) return true
    if (lane.bytes + bytes > MOST_BYTES && this.#othersSend(lane)) return false
    const reserve = Math.min(Math.max(RESERVE, others), (this.#sent + room) >> 2)
    // Where the reserve is touched, one of them at least has more than a part of it: it is for the others.
    return room > reserve || (lane.sent + 1) * others <= reserve
  }

  #othersSend(lane: Lane<Item>): boolean {
    return lane !== this.#last || this.#begun - this.#otherAt < RECENT
  }

  /** A command of a lane was sent, with so many bytes. */
  began(lane: Lane<Item>, bytes = 0): void {
    if (lane.sent++ === 0 && lane.users === 0) this.#count++
    lane.bytes += bytes
    this.#sent++
    if (lane !== this.#last) this.#turn(lane)
    this.#begun++
  }

  #turn(lane: Lane<Item>): void {
    if (this.#last !== null) this.#otherAt = this.#begun
    this.#last = lane
  }

  /** A command of a lane that was sent, with so many bytes, has ended. */
  ended(lane: Lane<Item>, bytes = 0): void {
    lane.bytes -= bytes
    if (--lane.sent === 0 && lane.users === 0) this.#count--
    this.#sent--
  }

  /**
   * Nobody waits any more for a command of a lane that was sent, with so many bytes: one that is never answered must not
   * keep those that come. It has its place until it has ended, with no bytes then.
   */
  orphaned(lane: Lane<Item>, bytes: number): void {
    lane.bytes -= bytes
  }

  /** A command of a lane waits for a place. */
  push(lane: Lane<Item>, item: Item): void {
    if (lane.waiting.head === null) this.#queue.push(lane)
    lane.waiting.push(item)
    this.waiting++
  }

  /** The next command that may go; null: none may. */
  next(room: number): Item | null {
    if (room <= 0) return null
    const queue = this.#queue
    for (let index = 0; index < queue.length; index++) {
      const lane = queue[index] as Lane<Item>
      if (this.mayGo(lane, room, this.#bytesOf(lane.waiting.head as Item))) return this.#shift(index)
    }
    return null
  }

  /** Any command that waits; null: none does. */
  shift(): Item | null {
    return this.#queue.length === 0 ? null : this.#shift(0)
  }

  #shift(index: number): Item | null {
    const queue = this.#queue
    const lane = queue[index] as Lane<Item>
    const item = lane.waiting.shift()
    this.waiting--
    const last = queue.length - 1
    for (let at = index; at < last; at++) queue[at] = queue[at + 1] as Lane<Item>
    if (lane.waiting.head === null) queue.pop()
    else queue[last] = lane
    return item
  }

  /** Takes commands that wait out. */
  remove(items: ReadonlySet<Item>): void {
    for (const { waiting } of this.#queue) this.waiting -= waiting.remove(items)
    this.#queue = this.#queue.filter(({ waiting }) => waiting.head !== null)
  }
}
