import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fillPattern, patternFault } from '@blockbraid/testkit'
import type { ArrayProcess } from './array.ts'

const BLOCK = 4096
const SEED = 20261122
/** Milliseconds between two writes: agents that start need some of the machine too. */
const PAUSE = 20

/** Writes blocks of a node over and over and keeps a journal of what was acknowledged. */
export interface Journal {
  /** Writes acknowledged so far. */
  readonly acknowledged: number
  /** Ends it; rejects with what went wrong. */
  stop(): Promise<void>
}

/**
 * Starts one on the first `blocks` of a node. Each write is durable (O_SYNC) when it is acknowledged; it must then
 * stand in the array, and stay there until the next write of the same block.
 */
export async function startJournal(node: string, array: ArrayProcess, volume: number, blocks = 16): Promise<Journal> {
  const file = await open(node, 'rs+')
  let acknowledged = 0
  let stopped = false
  const generations = new Array<number>(blocks).fill(0)
  const check = async (block: number): Promise<void> => {
    const offset = block * BLOCK
    const generation = generations[block]!
    if (generation === 0) return
    const fault = patternFault(await array.peek(volume, offset, BLOCK), { seed: SEED, offset, generation })
    if (fault !== undefined) throw new Error(`block ${block}, write ${generation} was acknowledged: ${fault}`)
  }
  const write = async (block: number): Promise<void> => {
    const offset = block * BLOCK
    const generation = generations[block]! + 1
    const data = Buffer.alloc(BLOCK)
    fillPattern(data, { seed: SEED, offset, generation })
    await file.write(data, 0, BLOCK, offset)
    generations[block] = generation
    acknowledged++
  }
  // Two at once, each with blocks of its own.
  const writer = async (first: number): Promise<void> => {
    while (!stopped) {
      for (let block = first; block < blocks && !stopped; block += 2) {
        // What came before is still there: nothing has been applied late.
        await check(block)
        await write(block)
        await check(block)
        await sleep(PAUSE)
      }
    }
  }
  const writers = Promise.all([writer(0), writer(1)]).finally(() => file.close())
  writers.catch(() => {})
  return {
    get acknowledged() {
      return acknowledged
    },
    async stop() {
      stopped = true
      await writers
      for (let block = 0; block < blocks; block++) await check(block)
    },
  }
}
