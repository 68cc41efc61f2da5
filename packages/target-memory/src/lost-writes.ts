import { IoOp } from '@blockbraid/core'
import { changesOf } from './history.ts'
import type { LogEntry } from './journal.ts'
import type { Volume } from './volume.ts'

// A trim of terabytes is not looked at block by block, but for the blocks that were written.
const MOST_BLOCKS = 1024

/** What one block may hold after a power loss: its last durable contents, or any later ones. */
interface Allowed {
  /** It was trimmed: its contents are undefined (rule 6). */
  anything: boolean
  contents: Uint8Array[]
}

/** See {@link MemoryArray.lostWrites}. */
export function lostWrites(
  log: readonly LogEntry[],
  volume: Volume,
  image: { read(offset: number, length: number): Uint8Array },
): string[] {
  const { blockSize, id, size } = volume
  const lost: string[] = []
  for (const [block, { anything, contents }] of allowedContents(log, volume)) {
    if (anything || (block + 1) * blockSize > size) continue
    const found = image.read(block * blockSize, blockSize)
    if (contents.some((bytes) => Buffer.compare(bytes, found) === 0)) continue
    lost.push(`${id}: ${blockSize} bytes at ${block * blockSize} are neither the last durable ones nor later ones`)
  }
  return lost
}

function allowedContents(log: readonly LogEntry[], volume: Volume): Map<number, Allowed> {
  const { blockSize, base } = volume
  const blocks = touchedBlocks(log, volume)
  for (const [block, allowed] of blocks) {
    const before = new Uint8Array(blockSize)
    base.store.read(block * blockSize, [before])
    allowed.contents.push(before)
  }
  const zeroes = new Uint8Array(blockSize)
  for (const { entry, durable } of changesOf(log, volume)) {
    for (const block of touching(blocks, entry, blockSize)) {
      const allowed = blocks.get(block)!
      // What is not durable adds to what may stand there; what is durable takes its place.
      if (durable) {
        allowed.anything = false
        allowed.contents = []
      }
      const at = block * blockSize - entry.offset
      if (entry.op === IoOp.Trim) allowed.anything = true
      else allowed.contents.push(entry.data?.subarray(at, at + blockSize) ?? zeroes)
    }
  }
  return blocks
}

/** Blocks that the log has changed, without those of very long trims and zeroes. */
function touchedBlocks(log: readonly LogEntry[], volume: Volume): Map<number, Allowed> {
  const blocks = new Map<number, Allowed>()
  for (const entry of log) {
    const count = entry.length / volume.blockSize
    if (entry.volumeNumber !== volume.number || (entry.data === undefined && count > MOST_BLOCKS)) continue
    const first = entry.offset / volume.blockSize
    for (let block = first; block < first + count; block++) {
      if (!blocks.has(block)) blocks.set(block, { anything: false, contents: [] })
    }
  }
  return blocks
}

function* touching(blocks: Map<number, Allowed>, { offset, length }: LogEntry, blockSize: number): Generator<number> {
  const first = offset / blockSize
  const end = first + length / blockSize
  if (end - first <= blocks.size) {
    for (let block = first; block < end; block++) if (blocks.has(block)) yield block
  } else {
    for (const block of blocks.keys()) if (block >= first && block < end) yield block
  }
}
