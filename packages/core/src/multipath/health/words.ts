/** A time for people. */
export function microseconds(time: number): string {
  if (time < 1000) return `${Math.round(time)} µs`
  if (time < 100_000) return `${(time / 1000).toPrecision(2)} ms`
  if (time < 1_000_000) return `${Math.round(time / 1000)} ms`
  return seconds(time / 1000)
}

/** A time in milliseconds, in whole seconds. */
export function seconds(time: number): string {
  return `${Math.ceil(time / 1000)} s`
}

/** A share from 0 to 1, for people. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
