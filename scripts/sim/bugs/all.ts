import { readFileSync } from 'node:fs'
import type { Bug } from './bug.ts'
import { apply } from './bug.ts'
import { bugsOfOrder } from './of-order.ts'
import { bugsOfPaths } from './of-paths.ts'
import { bugsOfTheFlow } from './of-the-flow.ts'

/** Every seeded bug of core. */
export const bugs: readonly Bug[] = [...bugsOfTheFlow, ...bugsOfOrder, ...bugsOfPaths]

/** The bug of that name; throws where there is none. */
export function bugNamed(name: string): Bug {
  const found = bugs.find((bug) => bug.name === name)
  if (found === undefined)
    throw new Error(`--bug is ${name}; it must be one of ${bugs.map((bug) => bug.name).join(', ')}`)
  return found
}

/** The sources of core with a bug, by file below its `src`; throws where it does not apply any more. */
export function patchOf(bug: Bug | undefined): Map<string, string> {
  if (bug === undefined) return new Map()
  const url = new URL(`../../../packages/core/src/${bug.file}`, import.meta.url)
  return new Map([[bug.file, apply(bug, readFileSync(url, 'utf8'))]])
}
