/** The name that was probably meant: the same in other letters, or one that differs in a letter or two. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const [folded, ...others] = [name, ...names].map((one) => one.toLowerCase()) as [string, ...string[]]
  const least = Math.min(...others.map((other) => distance(folded, other)))
  return least <= MOST ? names[others.findIndex((other) => distance(folded, other) === least)] : undefined
}

const MOST = 2

/** Letters to add, to leave out or to exchange; more than two are not counted. */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > MOST) return MOST + 1
  let above = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const changed = (above[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1)
      row.push(Math.min(changed, (above[j] as number) + 1, (row[j - 1] as number) + 1))
    }
    above = row
  }
  return above[other.length] as number
}
