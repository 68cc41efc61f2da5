/** A fault of core: changes of its sources. */
export interface Bug {
  /** Short, for the command line. */
  readonly name: string
  /** What is wrong with it, for people. */
  readonly text: string
  /** Below `packages/core/src`. */
  readonly file: string
  /** Each stands there once: what is found, and what stands in its place. */
  readonly changes: readonly (readonly [find: string, replace: string])[]
}

/** Changes a source; throws where something is not found, or more than once. */
export function apply(bug: Bug, source: string): string {
  return bug.changes.reduce((text, [find, replace]) => {
    const pieces = text.split(find)
    if (pieces.length === 2) return pieces.join(replace)
    throw new Error(`bug ${bug.name}: ${bug.file} has what it changes ${pieces.length - 1} times, not once: ${find}`)
  }, source)
}
