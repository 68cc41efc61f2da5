/** The subsystem of discovery controllers (NVMe Base 2.1 §4.7). */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

/** Checks an NVMe Qualified Name; it must be able to stand in a path's id. */
export function qualifiedName(field: string, value: unknown): string {
  if (isQualifiedName(value)) return value
  throw wrong(field, value, 'an NVMe Qualified Name such as nqn.2026-11.io.example:array, up to 223 bytes')
}

/** Whether it is a name that we use: what is by the book, as far as it can stand in a path's id (NVMe Base 2.1 §4.7). */
export function isQualifiedName(value: unknown): value is string {
  return typeof value === 'string' && /^nqn\.[^\s/\p{C}]{1,219}$/u.test(value) && Buffer.byteLength(value) <= 223
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
