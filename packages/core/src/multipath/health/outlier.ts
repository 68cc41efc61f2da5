import type { Numbers } from './window.ts'

/** How much slower than its equals is too slow: so many times, and so many µs. */
export interface Bounds {
  readonly factor: number
  readonly floor: number
}

/** By what a path is an outlier. */
export interface Outlier {
  readonly by: 'typical' | 'tail'
  /** How many times its equals' latency. */
  readonly times: number
}

/** What equals have in common: the middle one of each number, of two middles the lower; undefined where there are none. */
export function middle(equals: readonly Numbers[]): Numbers | undefined {
  if (equals.length === 0) return undefined
  const pick = (key: keyof Numbers): number => {
    const sorted = equals.map((each) => each[key]).sort((one, other) => one - other)
    return sorted[(sorted.length - 1) >> 1] as number
  }
  return { typical: pick('typical'), tail: pick('tail'), bytes: pick('bytes') }
}

/** Whether a path is too slow beside what its equals have in common. Larger Ios may take longer by as much. */
export function outlier(numbers: Numbers, equals: Numbers, { factor, floor }: Bounds): Outlier | undefined {
  const scale = Math.max(1, numbers.bytes / Math.max(1, equals.bytes))
  for (const by of ['typical', 'tail'] as const) {
    const base = equals[by] * scale
    if (numbers[by] > base * factor && numbers[by] - base > floor) return { by, times: numbers[by] / Math.max(1, base) }
  }
  return undefined
}
