/** Checks an option that is a text for people; throws {@link wrongOption}. */
export function textOption(field: string, value: unknown): string {
  if (typeof value === 'string' && /^[\x20-\x7e]{1,255}$/.test(value)) return value
  throw wrongOption(field, value, '1 to 255 printable characters')
}

/** Checks an option that is a whole number; throws {@link wrongOption}. */
export function integerOption(field: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
  throw wrongOption(field, value, `a whole number from ${least} to ${most}`)
}

/** Checks an option that is true or false; throws {@link wrongOption}. */
export function flagOption(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw wrongOption(field, value, 'true or false')
}

/** The error for an option: names the field, the value and what would be right. */
export function wrongOption(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`options.${field} is ${shown}; it must be ${right}`)
}
