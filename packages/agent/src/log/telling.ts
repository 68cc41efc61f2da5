// What is wrong for the same reason is told once, and what is wrong for ever new reasons not without end.
const REASONS = 8

/** Tells people what is wrong, each once for as long as it stays wrong. */
export interface Telling {
  /** What is wrong now in a group of things, by what it is about; what is not among it is well. Returns how many were new. */
  tell(group: string, lines: Iterable<readonly [about: string, line: string]>): number
  /** Forgets what was told of something, which is well now. Returns whether it was told. */
  forget(group: string, about: string): boolean
  /** How many things of a group are wrong. */
  count(group: string): number
}

/** Makes a {@link Telling} of lines for people. */
export function createTelling(say: (group: string, about: string, line: string) => void): Telling {
  const groups = new Map<string, Map<string, Set<string>>>()
  return {
    tell(group, lines) {
      const before = groups.get(group) ?? new Map<string, Set<string>>()
      const now = new Map<string, Set<string>>()
      let count = 0
      for (const [about, line] of lines) {
        const told = now.get(about) ?? before.get(about) ?? new Set()
        now.set(about, told)
        if (told.has(line) || told.size >= REASONS) continue
        told.add(line)
        say(group, about, line)
        count++
      }
      groups.set(group, now)
      return count
    },
    count: (group) => groups.get(group)?.size ?? 0,
    forget: (group, about) => groups.get(group)?.delete(about) ?? false,
  }
}
