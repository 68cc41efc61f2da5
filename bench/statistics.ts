/** What two runs of the same build differ by on a machine that is not quite alone. */
export const NOISE = 0.03

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

/** What one contender is beside another: the median of the rounds' ratios, since a round shares its troubles. */
export function ratio(one: readonly number[], other: readonly number[]): number {
  return median(one.map((value, round) => value / (other[round] as number)))
}

/** What a number should be. */
export interface Goal {
  /** What it is of, as a line says it. */
  readonly of: string
  readonly value: number
  readonly atLeast?: number
  readonly atMost?: number
}

/** One line that says whether a goal is met. */
export function verdict({ of, value, atLeast, atMost }: Goal): string {
  const digits = (number: number): string => number.toFixed(number < 10 ? 2 : 0)
  const met = value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity)
  const bound = atLeast === undefined ? `at most ${digits(atMost as number)}` : `at least ${digits(atLeast)}`
  return `  ${met ? 'met  ' : 'SHORT'} ${digits(value).padStart(6)}, ${bound}: ${of}`
}
