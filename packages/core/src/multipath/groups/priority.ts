import type { ResolvedOptions } from '../options.ts'
import type { PathSource } from '../path-source.ts'

/** The priority of a path by the options: by its id, else by its address, else by its target. */
export function priorityOf({ priorities }: ResolvedOptions, { info, target }: PathSource): number {
  for (const key of [info.id, info.address, target.name]) {
    if (Object.hasOwn(priorities, key)) return priorities[key] as number
  }
  return 0
}
