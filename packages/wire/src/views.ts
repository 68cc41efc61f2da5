import { crc32c } from './crc32c.ts'
import type { Outbox } from './outbox.ts'

/** Something that reads `length` bytes into its views, or into views of what came. */
export interface Filling {
  /** Bytes that it gets in all. */
  readonly length: number
  /** Bytes that have come. */
  received: number
  /** Views to fill; where it `lends`, they become those of what came. */
  buffers: Uint8Array[]
  /** Whether it keeps views of what comes. */
  readonly lends: boolean
  /** The view that the next bytes go to; where it lends above 0 when pieces are merged into that view. */
  view: number
  /** Where in it they go. */
  viewAt: number
}

// Nothing has more views than that, however small the pieces are that the other end cuts its data into.
const MAX_VIEWS = 64
// Views are worth their price where the pieces have so many bytes on the average; the ends of a chunk may be smaller.
const WORTH = 512
const FEW_VIEWS = 4

/** Takes bytes that came: copies them, or keeps a view of them, and then returns true: they must stay. */
export function fillViews(into: Filling, bytes: Buffer, start: number, end: number): boolean {
  const before = into.received
  into.received = before + end - start
  if (into.lends && into.view === 0) {
    if (before === 0) {
      into.buffers = [bytes.subarray(start, end)]
      return true
    }
    const count = into.buffers.length
    if (count < FEW_VIEWS || (before >= count * WORTH && count < MAX_VIEWS - 1)) {
      into.buffers.push(bytes.subarray(start, end))
      return true
    }
    into.view = count
    into.buffers.push(Buffer.allocUnsafeSlow(into.length - before))
  }
  while (start < end) {
    const view = into.buffers[into.view]
    if (view === undefined) return false
    const count = Math.min(end - start, view.length - into.viewAt)
    bytes.copy(view, into.viewAt, start, start + count)
    start += count
    into.viewAt += count
    if (into.viewAt === view.length) {
      into.view++
      into.viewAt = 0
    }
  }
  return false
}

/** Puts `length` bytes of `views`, from byte `offset` of them on, into an outbox. Returns their CRC32C where it is `checked`. */
export function attachViews(
  outbox: Outbox,
  views: readonly Uint8Array[],
  offset: number,
  length: number,
  checked: boolean,
): number {
  let crc = 0
  let skip = offset
  let left = length
  for (let index = 0; left > 0; index++) {
    const view = views[index] as Uint8Array
    if (skip >= view.length) {
      skip -= view.length
      continue
    }
    const take = Math.min(left, view.length - skip)
    const piece = take === view.length ? view : view.subarray(skip, skip + take)
    outbox.attach(piece)
    if (checked) crc = crc32c(piece, crc)
    skip = 0
    left -= take
  }
  return crc
}
