import { readFile } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

function findManifest(name: string, from: string): string | undefined {
  try {
    return findPackageJSON(name, from)
  } catch {
    return undefined
  }
}

/** The file that `import` of a package would load, were it written in a file of `folder`. */
export async function entryOf(name: string, folder: string): Promise<{ manifest: string; file: string } | undefined> {
  const manifest = findManifest(name, pathToFileURL(join(folder, 'config.yaml')).href)
  if (manifest === undefined) return undefined
  const { exports, main } = JSON.parse(await readFile(manifest, 'utf8')) as { exports?: unknown; main?: string }
  const subpath = name
    .split('/')
    .slice(name.startsWith('@') ? 2 : 1)
    .join('/')
  const entry = subpath === '' ? (pickExport(exports) ?? main ?? 'index.js') : entryBelow(exports, subpath)
  if (entry === undefined) return undefined
  return { manifest, file: resolve(manifest, '..', entry) }
}

// Without `exports` a package's files are all open, by their names.
function entryBelow(exports: unknown, subpath: string): string | undefined {
  if (typeof exports !== 'object' || exports === null) return exports === undefined ? subpath : undefined
  return pickExport((exports as Record<string, unknown>)[`./${subpath}`])
}

const conditions = new Set(['import', 'node', 'module-sync', 'default'])

function pickExport(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports
  if (typeof exports !== 'object' || exports === null) return undefined
  for (const [key, value] of Object.entries(exports)) {
    if (key !== '.' && !conditions.has(key)) continue
    const found = pickExport(value)
    if (found !== undefined) return found
  }
  return undefined
}
