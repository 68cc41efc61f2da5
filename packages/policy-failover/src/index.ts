/**
 * Failover: one path at a time, a preferred one where it is there.
 * @packageDocumentation
 */
import type { PathSelector, PathView } from '@blockbraid/core'

/** Options of {@link failover}. */
export interface FailoverOptions {
  /** Id, address or target of the paths to prefer; of a list, the first that is there. @defaultValue none */
  prefer?: string | readonly string[]
}

function preferences({ prefer = [] }: FailoverOptions): readonly string[] {
  const list: unknown = typeof prefer === 'string' ? [prefer] : prefer
  if (Array.isArray(list) && list.every((name) => typeof name === 'string' && name !== '')) return list
  const is = Array.isArray(list) ? `[${list.map(String).join(', ')}]` : String(list)
  throw new TypeError(`prefer is ${is}; it must be the id, the address or the target of a path, or a list of those`)
}

const isNamed = ({ id, address, target }: PathView, name: string): boolean =>
  name === id || name === address || name === target

/** Makes a selector that sends all I/O through one path: a preferred one, else the one it is on as long as that is there. */
export function failover(options: FailoverOptions = {}): PathSelector {
  const preferred = preferences(options)
  let current: PathView | undefined
  return {
    name: 'failover',
    update(usable) {
      const stays = current !== undefined && usable.includes(current) ? current : usable[0]
      current = stays
      for (const name of preferred) {
        const named = usable.filter((path) => isNamed(path, name))
        if (named.length === 0) continue
        // Of several that one name means it keeps the one that it is on.
        current = named.includes(stays as PathView) ? stays : named[0]
        break
      }
    },
    select() {
      return current
    },
  }
}

export default failover
