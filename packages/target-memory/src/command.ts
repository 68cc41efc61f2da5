import type { Io, IoStatus } from '@blockbraid/core'
import { IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Volume } from './volume.ts'

/** A copy of `views`, which add up to `length`. */
export function joined(views: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const view of views) {
    bytes.set(view, at)
    at += view.length
  }
  return bytes
}

/** Whom a command comes from, as its port sees it. */
export interface Sender {
  readonly connection: number
  readonly mapping: { readonly volume: Volume }
  /** Called before its command is executed, which it may abort. */
  tellNews(): void
  /** What ends `command` before it is executed, or OK. */
  judge(command: Command): IoStatus
  /** The port has nothing to do with `command` any more. */
  forget(command: Command): void
}

/** A command inside the array. It may outlive its Io: then it is executed, and nobody hears the answer. */
export class Command {
  path: Sender | null = null
  io: Io | null = null
  op: IoOp = IoOp.Read
  flags = 0
  offset = 0.5
  length = 0.5
  buffers: Uint8Array[] = NO_BUFFERS
  /** Time of execution, µs. */
  due = 0.5
  /** Decides between two that are due at the same time. */
  order = 0
  /** Moment of submit in the log. */
  submitted = 0
  /** Its place in the path's list. */
  place = 0

  /** Parts from the Io, which ends now: data to write is copied, as it would have left over the wire. */
  detach(): Io | null {
    const io = this.io
    this.io = null
    this.buffers = this.op === IoOp.Write ? [joined(this.buffers, this.length)] : NO_BUFFERS
    return io
  }
}

function before(a: Command, b: Command): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order)
}

/** Commands by the time they are due; a binary heap. */
export class CommandHeap {
  readonly #items: Command[] = []

  get length(): number {
    return this.#items.length
  }

  get first(): Command | undefined {
    return this.#items[0]
  }

  push(command: Command): void {
    const items = this.#items
    let at = items.length
    items.push(command)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(command, items[parent]!)) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = command
  }

  shift(): Command | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= items.length) break
      if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child++
      if (!before(items[child]!, last)) break
      items[at] = items[child]!
      at = child
    }
    items[at] = last
    return first
  }

  /** Removes what `drop` returns true for. */
  sift(drop: (command: Command) => boolean): void {
    const all = this.#items.splice(0)
    for (const command of all) if (!drop(command)) this.push(command)
  }
}
