/** The error for an argument: what was given, and what would be right. */
export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? `[${value}]` : String(value)
  return new TypeError(`${field} is ${shown}; it must be ${right}`)
}

/** A whole number within bounds. */
export function integer(field: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw wrong(field, value, `a whole number from ${least} to ${most}`)
}

/** Throws where a value that may be left out is no whole number within bounds. */
export function integerIfGiven(field: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined) integer(field, value, least, most)
}

/** Throws where a value is none of a few. */
export function oneOf(field: string, value: unknown, all: readonly unknown[]): void {
  if (!all.includes(value)) throw wrong(field, value, `one of ${all.join(', ')}`)
}

/** A list of at least one of a few values. */
export function someOf<Value>(field: string, values: readonly Value[], all: readonly Value[]): readonly Value[] {
  if (Array.isArray(values) && values.length > 0 && values.every((value) => all.includes(value))) return values
  throw wrong(field, values, `a list of ${all.join(', ')}`)
}
