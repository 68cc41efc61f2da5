/** What a guard watches over: a node as one process serves it. */
export interface GuardEntry {
  readonly index: number
  readonly pid: number
  readonly backend: string
}

/** The line by which a guard knows it. */
export function guardEntry({ index, pid, backend }: GuardEntry): string {
  return `nbd${index} ${pid} ${backend}`
}

/** The reverse of {@link guardEntry}. */
export function parseGuardEntry(entry: string): GuardEntry {
  const match = /^nbd(\d+) (\d+) (\S.*)$/.exec(entry)
  if (match === null) {
    throw new TypeError(`guard: entry is ${JSON.stringify(entry)}; it must be like "nbd0 1234 blockbraid/a@b"`)
  }
  return { index: Number(match[1]), pid: Number(match[2]), backend: match[3]! }
}
