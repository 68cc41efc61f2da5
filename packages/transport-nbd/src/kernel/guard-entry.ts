/** The line by which a guard knows a node. */
export function guardEntry(index: number, backend: string): string {
  return `nbd${index} ${backend}`
}

/** The reverse of {@link guardEntry}. */
export function parseGuardEntry(entry: string): { index: number; backend: string } {
  const match = /^nbd(\d+) (\S+)$/.exec(entry)
  if (match === null)
    throw new TypeError(`guard: entry is ${JSON.stringify(entry)}; it must be like "nbd0 blockbraid/a@b"`)
  return { index: Number(match[1]), backend: match[2]! }
}
