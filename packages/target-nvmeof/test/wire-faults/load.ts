import type { BlockDevice } from '@blockbraid/core'
import { userDevice } from '@blockbraid/core'
import { createRandom, fillPattern, patternFault, randomInt, STAMP_SIZE } from '@blockbraid/testkit'

const SEED = 7
const WORKERS = 16
/** Bytes that each worker has for itself. */
export const REGION = 256 * 1024
const LONGEST = 64 * 1024

/** Reads and writes without end, and looks at every byte that it reads. */
export interface Load {
  /** What went wrong: an error, or bytes that should not be there. Empty, or a promise was broken. */
  readonly faults: readonly string[]
  /** I/Os that have ended. */
  readonly count: number
  /** Ends it; resolves when nothing is in flight. */
  stop(): Promise<void>
  /** What is wrong with the whole storage, as `peek` shows it. */
  check(peek: (offset: number, length: number) => Uint8Array): string[]
}

/** Bytes that a load is on. */
export const LOAD_SIZE = WORKERS * REGION

/** Starts a load of 16 I/Os at once, each up to 64 KiB, in regions of their own. */
export function startLoad(device: BlockDevice, seed = 1): Load {
  const random = createRandom(seed)
  const faults: string[] = []
  let count = 0
  let over = false
  const user = userDevice(device)
  // The generation of each stamp of a region; 0: nothing was written.
  const regions = Array.from({ length: WORKERS }, () => new Uint32Array(REGION / STAMP_SIZE))

  async function step(worker: number, generation: number): Promise<void> {
    const stamps = regions[worker]!
    const { blockSize } = device.limits
    const longest = LONGEST / blockSize
    const blocks = 1 + randomInt(random, longest)
    const at = randomInt(random, REGION / blockSize - blocks + 1) * blockSize
    const length = blocks * blockSize
    const offset = worker * REGION + at
    const first = at / STAMP_SIZE
    if (random() < 0.5) {
      const data = Buffer.alloc(length)
      fillPattern(data, { seed: SEED, offset, generation })
      await user.write(offset, data)
      stamps.fill(generation, first, first + length / STAMP_SIZE)
      return
    }
    faults.push(...wrongIn(await user.read(offset, length), offset, stamps.subarray(first)))
  }

  async function work(worker: number): Promise<void> {
    for (let generation = 1; !over; generation++) {
      try {
        await step(worker, generation)
        count++
      } catch (error) {
        faults.push(`worker ${worker}: ${error}`)
        return
      }
    }
  }

  const working = Promise.all(regions.map((_, worker) => work(worker)))
  return {
    faults,
    get count() {
      return count
    },
    async stop() {
      over = true
      await working
    },
    check: (peek) =>
      regions.flatMap((stamps, worker) => wrongIn(peek(worker * REGION, REGION), worker * REGION, stamps)),
  }
}

/** What is wrong with bytes from `offset` on; at most one thing, which says enough. */
function wrongIn(bytes: Uint8Array, offset: number, generations: Uint32Array): string[] {
  for (let at = 0; at < bytes.length; at += STAMP_SIZE) {
    const generation = generations[at / STAMP_SIZE]!
    const part = bytes.subarray(at, at + STAMP_SIZE)
    if (generation === 0) {
      if (part.some((byte) => byte !== 0)) return [`at ${offset + at}: wanted zeroes`]
      continue
    }
    const fault = patternFault(part, { seed: SEED, offset: offset + at, generation })
    if (fault !== undefined) return [fault]
  }
  return []
}
