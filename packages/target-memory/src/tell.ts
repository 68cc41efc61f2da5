/** Calls `tell` for each, whatever the others throw; throws the first error when all have been called. */
export function tellAll<T>(all: Iterable<T>, tell: (one: T) => void): void {
  const errors: unknown[] = []
  for (const one of [...all]) {
    try {
      tell(one)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
