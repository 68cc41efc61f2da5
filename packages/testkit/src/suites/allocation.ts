import { getHeapStatistics } from 'node:v8'

const WARM_UP = 20_000
const BATCH = 2000
const BATCHES = 50
const ROUNDS = 8

/** Median over the batches, so that a garbage collection within a few of them does not matter. */
function heapOfBatch(call: () => void, calls: number): number {
  const samples: number[] = []
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = getHeapStatistics().used_heap_size
    for (let i = 0; i < calls; i++) call()
    samples.push(getHeapStatistics().used_heap_size - before)
  }
  return samples.toSorted((a, b) => a - b)[BATCHES / 2]!
}

/**
 * Bytes of heap that one call of `call` takes in steady state. It is the least of up to eight rounds of
 * 100,000 calls: code that V8 has not optimised yet boxes numbers, which says nothing of the code itself.
 */
export function bytesPerCall(call: () => void): number {
  for (let i = 0; i < WARM_UP; i++) call()
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS && least >= 0.5; round++) {
    // The statistics take some heap themselves.
    const own = heapOfBatch(call, 0)
    least = Math.min(least, Math.max(0, heapOfBatch(call, BATCH) - own) / BATCH)
  }
  return least
}
