import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** MiB that this process uses after a garbage collection. */
export interface MemoryUse {
  /** Objects and array buffers. */
  readonly live: number
  readonly resident: number
}

export async function memoryUse(): Promise<MemoryUse> {
  // What a collection frees may hold what the next one frees.
  for (let round = 0; round < 3; round++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  return { live: (heapUsed + arrayBuffers) / 2 ** 20, resident: rss / 2 ** 20 }
}
