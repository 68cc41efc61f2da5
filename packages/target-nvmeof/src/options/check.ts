import { wrongOption } from '@blockbraid/wire'

/** The subsystem of discovery controllers (NVMe Base 2.1 §4.7). */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

/** Checks an NVMe Qualified Name; it must be able to stand in a path's id. */
export function qualifiedName(field: string, value: unknown): string {
  if (isQualifiedName(value)) return value
  throw wrongOption(field, value, 'an NVMe Qualified Name such as nqn.2026-11.io.example:array, up to 223 bytes')
}

/** Whether it is a name that we use: what is by the book, as far as it can stand in a path's id (NVMe Base 2.1 §4.7). */
export function isQualifiedName(value: unknown): value is string {
  return typeof value === 'string' && /^nqn\.[^\s/\p{C}]{1,219}$/u.test(value) && Buffer.byteLength(value) <= 223
}
