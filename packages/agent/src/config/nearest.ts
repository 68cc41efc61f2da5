// Letters added, left out, exchanged, or swapped with their neighbour.
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    const above = rows[i - 1]!
    for (let j = 1; j <= b.length; j++) {
      const changed = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : changed
      row.push(Math.min(changed, swapped, above[j]! + 1, row[j - 1]! + 1))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

/** The name that was probably meant: the nearest one, if at most a third of it has to change. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of names) {
    const changes = distance(name.toLowerCase(), candidate.toLowerCase())
    if (changes < least && changes <= Math.max(1, candidate.length / 3)) {
      best = candidate
      least = changes
    }
  }
  return best
}
