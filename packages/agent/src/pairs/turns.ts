/** Does works one after the other; one that fails keeps no other from its turn. */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>

/** Makes {@link Turns}. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
}
