import type { PathSelector, PathView } from '../policy.ts'

/** The selector of a device without a policy: the first usable path takes all I/O. */
export function firstPath(): PathSelector {
  let first: PathView | undefined
  return {
    name: '',
    update(paths) {
      first = paths[0]
    },
    select() {
      return first
    },
  }
}

/** Makes a selector and checks its shape; throws what `create` throws, or a TypeError that says what is missing. */
export function checkedSelector(create: () => PathSelector): PathSelector {
  const selector: Partial<PathSelector> | undefined = create()
  for (const method of ['update', 'select'] as const) {
    if (typeof selector?.[method] !== 'function') {
      throw new TypeError(`the policy has no ${method} function; a PathSelector is { name, update(paths), select(io) }`)
    }
  }
  if (typeof selector?.name !== 'string' || selector.name === '') {
    throw new TypeError('the policy has no name; a PathSelector is { name, update(paths), select(io) }')
  }
  return selector as PathSelector
}
