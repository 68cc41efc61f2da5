/** A column of a table. */
export interface Column {
  readonly title: string
  /** @defaultValue left */
  readonly align?: 'left' | 'right'
  /** Whether its cells are cut in the middle where the table is too wide; one column at most. */
  readonly elastic?: boolean
}

/** Cuts the middle out of a text that is longer than `width`; of its end, where ids differ, more is left. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text
  if (width < 5) return text.slice(0, width)
  const left = Math.ceil((width - 2) / 3)
  return `${text.slice(0, left)}..${text.slice(text.length - (width - 2 - left))}`
}

/** The same for texts below each other: where they begin alike goes first, so that they still differ. */
export function shortenAlike(texts: readonly string[], width: number): string[] {
  const [first = '', ...others] = texts.filter((text) => text.length > width)
  let common = 0
  while (common < first.length && others.every((other) => other[common] === first[common])) common++
  // Best is to keep all of the part, between slashes, in which they differ.
  const ends = [first.lastIndexOf('/', common - 1), common]
  return texts.map((text) => {
    const cut = text.length - width + 2
    const left = ends.map((end) => Math.min(Math.ceil((width - 2) / 3), end - cut)).find((length) => length > 0)
    if (text.length <= width || left === undefined) return shorten(text, width)
    return `${text.slice(0, left)}..${text.slice(left + cut)}`
  })
}

/** What a terminal must not be told: control characters in names that came from afar. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')
}

/** Lines of a table with its titles, at most `width` characters wide. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  const all = [columns.map((column) => column.title), ...rows.map((row) => row.map(printable))]
  const widths = columns.map((_column, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)))
  const total = widths.reduce((sum, one) => sum + one, 0) + 2 * (columns.length - 1)
  const elastic = columns.findIndex((column) => column.elastic)
  if (total > width && elastic >= 0) widths[elastic] = Math.max(8, widths[elastic]! - (total - width))
  const shortened = columns.map((_column, index) =>
    shortenAlike(
      all.map((row) => row[index] ?? ''),
      widths[index]!,
    ),
  )
  return all.map((_row, line) =>
    columns
      .map((column, index) => {
        const text = shortened[index]![line]!
        return column.align === 'right' ? text.padStart(widths[index]!) : text.padEnd(widths[index]!)
      })
      .join('  ')
      .trimEnd(),
  )
}
