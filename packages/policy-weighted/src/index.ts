/**
 * Weighted: each path in turn, as often as its weight says.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** Sum of the whole weights at most, so that all arithmetic stays within 32 bits. */
const MOST = 2 ** 28

/** Whole numbers in the proportions of the weights. */
function wholeWeights(paths: readonly PathView[]): Int32Array {
  const sum = paths.reduce((sum, { weight }) => sum + weight, 0)
  const fits = sum <= MOST && paths.every(({ weight }) => Number.isInteger(weight))
  return Int32Array.from(paths, ({ weight }) => (fits ? weight : Math.max(1, (weight / sum) * MOST)))
}

/**
 * Makes a selector that gives each path I/Os in proportion to its weight, as evenly spread as can be: smooth weighted round
 * robin. Each time every path earns its weight, and the richest serves and pays for all.
 */
export function weighted(): PathSelector {
  let paths: readonly PathView[] = []
  let weights: Int32Array = new Int32Array(0)
  let credits: Int32Array = new Int32Array(0)
  let total = 0
  return {
    name: 'weighted',
    update(usable) {
      const before = new Map(paths.map((path, index) => [path, (credits[index] as number) / total]))
      paths = usable
      weights = wholeWeights(usable)
      total = weights.reduce((sum, weight) => sum + weight, 0)
      credits = Int32Array.from(usable, (path) => (before.get(path) ?? 0) * total)
    },
    select() {
      let best = 0
      let most = -(2 ** 31)
      for (let index = 0; index < credits.length; index++) {
        const credit = (credits[index] as number) + (weights[index] as number)
        credits[index] = credit
        if (credit > most) {
          most = credit
          best = index
        }
      }
      credits[best] = most - total
      return paths[best]
    },
  }
}

export default weighted
