/** The error for an argument: what was given, and what would be right. */
export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? `[${value}]` : String(value)
  return new TypeError(`${field} is ${shown}; it must be ${right}`)
}

/** A whole number within bounds, and a multiple of `step`. */
export function integer(field: string, value: number, least: number, most: number, step = 1): number {
  if (Number.isInteger(value) && value >= least && value <= most && value % step === 0) return value
  throw wrong(field, value, `a ${step === 1 ? 'whole number' : `multiple of ${step}`} from ${least} to ${most}`)
}

/** Throws where a value that may be left out is no whole number within bounds. */
export function integerIfGiven(field: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined) integer(field, value, least, most)
}

/** Throws where a value is none of a few. */
export function oneOf(field: string, value: unknown, all: readonly unknown[]): void {
  if (!all.includes(value)) throw wrong(field, value, `one of ${all.join(', ')}`)
}
