// Buckets 0-7 hold one microsecond each; from there on every power of two has four buckets, up to
// the last one, which also takes all that is slower: a relative error of at most 25 %.
const LINEAR = 8
const LAST = 103

/** How many latency buckets there are. */
export const LATENCY_BUCKETS: number = LAST + 1

/** The bucket of a latency in whole microseconds. */
export function latencyBucket(microseconds: number): number {
  if (microseconds < LINEAR) return microseconds < 0 ? 0 : microseconds
  const exponent = 31 - Math.clz32(microseconds)
  const bucket = LINEAR + ((exponent - 3) << 2) + ((microseconds >>> (exponent - 2)) & 3)
  return bucket > LAST ? LAST : bucket
}

/** Smallest latency, µs, that is above bucket `index`. */
export function latencyBucketLimit(index: number): number {
  if (index < LINEAR) return index + 1
  const exponent = ((index - LINEAR) >> 2) + 3
  const quarter = (index - LINEAR) & 3
  return 2 ** exponent + (quarter + 1) * 2 ** (exponent - 2)
}

/** Latency below which `share` (0 to 1) of the Ios of a histogram stayed, µs; 0 when it is empty. */
export function latencyPercentile(histogram: readonly number[], share: number): number {
  const total = histogram.reduce((sum, count) => sum + count, 0)
  if (total === 0) return 0
  let seen = 0
  for (let index = 0; index < histogram.length; index++) {
    seen += histogram[index] as number
    if (seen >= total * share) return latencyBucketLimit(index)
  }
  return latencyBucketLimit(LAST)
}
