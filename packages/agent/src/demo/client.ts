import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@blockbraid/core'
import type { Export, Load, LoadResult, Reader } from './load.ts'
import { BLOCK, DEPTH, RATE } from './load.ts'

const PROGRAM = 'our own NBD client'
const STEP = 256 * 1024

/** The NBD client of our testkit, where fio is not installed. */
export const clientLoad: Load = {
  program: PROGRAM,
  async run(exports, _folder, signal) {
    const results = await Promise.all(exports.map((target, number) => exercise(target, number + 1, signal)))
    return {
      writes: results.reduce((sum, { writes }) => sum + writes, 0),
      reads: results.reduce((sum, { reads }) => sum + reads, 0),
      errors: results.flatMap(({ errors }) => errors),
    }
  },
}

/** The same client, where nbdcopy is not installed. */
export const clientReader: Reader = {
  program: PROGRAM,
  async read({ uri, size }, _folder, signal, onData) {
    const { connectNbd } = await import('@blockbraid/testkit')
    await using client = await connectNbd(uri, { signal })
    for (let offset = 0; offset < size; offset += STEP) {
      signal.throwIfAborted()
      onData(await client.read(offset, Math.min(STEP, size - offset)))
    }
  },
}

async function exercise({ name, uri, size }: Export, seed: number, signal: AbortSignal): Promise<LoadResult> {
  const { connectNbd, createRandom, pattern, patternFault } = await import('@blockbraid/testkit')
  await using client = await connectNbd(uri, { signal })
  const errors: string[] = []
  const order = shuffle(
    Array.from({ length: size / BLOCK }, (_, block) => block * BLOCK),
    createRandom(seed),
  )
  const stamp = (offset: number) => ({ seed, offset, generation: 1 })
  const writes = await atRate(order, signal, async (offset) => {
    await client.write(offset, pattern(BLOCK, stamp(offset)))
  })
  await client.flush()
  const reads = await atRate(order, signal, async (offset) => {
    const fault = patternFault(await client.read(offset, BLOCK), stamp(offset))
    if (fault !== undefined) errors.push(`${name}: ${fault}`)
  })
  return { writes, reads, errors: errors.slice(0, 3) }

  async function atRate(
    offsets: readonly number[],
    stop: AbortSignal,
    work: (offset: number) => Promise<void>,
  ): Promise<number> {
    const started = performance.now()
    let next = 0
    let done = 0
    const worker = async (): Promise<void> => {
      while (next < offsets.length) {
        stop.throwIfAborted()
        const offset = offsets[next]!
        const early = (next++ / RATE) * 1000 - (performance.now() - started)
        if (early > 5) await sleep(early)
        try {
          await work(offset)
          done++
        } catch (error) {
          errors.push(`${name}: ${messageOf(error)}`)
        }
      }
    }
    await Promise.all(Array.from({ length: DEPTH }, worker))
    return done
  }
}

function shuffle(items: number[], random: () => number): number[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const kept = items[last]!
    items[last] = items[other]!
    items[other] = kept
  }
  return items
}
