export function iscsiName(field: string, value: unknown): string {
  if (typeof value === 'string' && /^(iqn|eui|naa)\.[^\s/]{1,219}$/.test(value)) return value
  throw wrong(field, value, 'an iSCSI name such as iqn.2026-11.io.example:array')
}

export function text(field: string, value: unknown): string {
  if (typeof value === 'string' && /^[\x20-\x7e]{1,255}$/.test(value)) return value
  throw wrong(field, value, '1 to 255 printable characters')
}

export function integer(field: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
  throw wrong(field, value, `a whole number from ${least} to ${most}`)
}

export function flag(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(field, value, 'true or false')
}

export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`options.${field} is ${shown}; it must be ${right}`)
}
