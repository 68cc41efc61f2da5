import type { NameRecord } from '../state/name-record.ts'
import { dayOf } from '../state/name-record.ts'
import { formatTable } from '../text/table.ts'

const columns = [
  { title: 'name' },
  { title: 'volume', elastic: true },
  { title: 'since' },
  { title: 'last paired' },
] as const

/** Names and the volumes that they belong to, `width` characters wide. */
export function formatNames(names: readonly NameRecord[], width: number): string[] {
  if (names.length === 0) return ['no names']
  const rows = names.map(({ name, volume, since, seen }) => [name, volume, dayOf(since), dayOf(seen)])
  return formatTable(columns, rows, width)
}
