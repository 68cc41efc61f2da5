import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A folder with a package.json of its own, as far as walls need it. */
export interface Room {
  /** From the root: `packages/core`. */
  readonly folder: string
  readonly name: string
  /** Names that whoever installs it gets with it. */
  readonly needs: readonly string[]
  /** Names that its tests may use beside those. */
  readonly needsToTest: readonly string[]
}

type Names = Record<string, string>

interface Manifest {
  readonly name: string
  readonly dependencies?: Names
  readonly peerDependencies?: Names
  readonly optionalDependencies?: Names
  readonly devDependencies?: Names
}

/** The packages and the examples of a tree. */
export function roomsOf(root: string): Room[] {
  return globSync('{packages,examples}/*/package.json', { cwd: root })
    .sort()
    .map((path) => {
      const { name, ...lists } = read(join(root, path))
      const needs = { ...lists.dependencies, ...lists.peerDependencies, ...lists.optionalDependencies }
      const needsToTest = Object.keys(lists.devDependencies ?? {})
      return { folder: dirname(path), name, needs: Object.keys(needs), needsToTest }
    })
}

/** What tests of every package may use: the tools of the root. */
export function toolsOf(root: string): string[] {
  return Object.keys(read(join(root, 'package.json')).devDependencies ?? {})
}

function read(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}
