import { execFile } from 'node:child_process'
import { realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf } from '@blockbraid/core'
import packageJson from '../../package.json' with { type: 'json' }
import type { PluginUse } from '../config/config.ts'
import { nearest } from '../config/nearest.ts'
import { strangerAt } from '../files/strangers.ts'
import { mistake } from './mistake.ts'
import { entryOf } from './packages.ts'
import { notePluginFile, placeOf } from './plugin-files.ts'
import { sharePackagesWith } from './plugin-imports.ts'

const { dependencies }: { dependencies: Readonly<Record<string, string>> } = packageJson

/** How long another Node may take to find a mistake in a file, milliseconds. */
const CHECK_TIME = 5000

/** What a plugin makes. Its packages are named `@blockbraid/KIND-NAME`, those of others `blockbraid-KIND-NAME`. */
export type PluginKind = 'policy' | 'target' | 'transport'

/**
 * Imports a plugin's module: a file relative to `folder`; what the command comes with; else a package seen from `folder`,
 * else from here. What others could exchange is refused.
 */
export async function loadModule(
  kind: PluginKind,
  plugin: PluginUse,
  folder: string,
): Promise<Record<string, unknown>> {
  const { use } = plugin
  if (isFile(use)) {
    const file = isAbsolute(use) ? use : resolve(folder, use)
    const stats = await stat(file).catch(() => undefined)
    if (!stats?.isFile()) throw mistake(plugin, `there is no file ${file}`)
    const refusal = await refusalOf([file])
    if (refusal !== undefined) throw mistake(plugin, `${kind} ${use} is not loaded: ${refusal}`)
    return importModule(kind, plugin, `${pathToFileURL(file).href}${await editionOf(file, stats.mtimeMs)}`)
  }
  const names = /^[a-z0-9-]+$/.test(use) ? [`@blockbraid/${kind}-${use}`, `blockbraid-${kind}-${use}`, use] : [use]
  // First: no folder above the config can have another one of these.
  if (Object.hasOwn(dependencies, names[0]!)) return importModule(kind, plugin, names[0]!)
  let refused: string | undefined
  for (const name of names) {
    for (const from of [folder, import.meta.dirname]) {
      const entry = await entryOf(name, from)
      if (entry === undefined) continue
      const refusal = await refusalOf([entry.manifest, entry.file])
      if (refusal === undefined) return importModule(kind, plugin, pathToFileURL(entry.file).href)
      refused ??= `${kind} ${use} is not loaded from ${dirname(entry.manifest)}: ${refusal}`
    }
  }
  throw mistake(plugin, refused ?? `there is no ${kind} "${use}": ${adviceFor(kind, use)}`)
}

function adviceFor(kind: PluginKind, use: string): string {
  if (/^[^/]+\.[cm]?[jt]s$/.test(use)) return `a file is written ./${use}`
  if (!/^[a-z0-9-]+$/.test(use) || use.startsWith(`blockbraid-${kind}-`)) return `install ${use}`
  const own = `@blockbraid/${kind}-`
  const known = Object.keys(dependencies).flatMap((name) => (name.startsWith(own) ? [name.slice(own.length)] : []))
  const meant = nearest(use, known)
  return meant === undefined ? `install ${own}${use}` : `did you mean ${meant}?`
}

function isFile(use: string): boolean {
  return /^\.{0,2}\//.test(use)
}

/** Why code must not be run from these files, and what to do about it; undefined: nobody else can exchange them. */
async function refusalOf(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    // One that is not there is told by whoever imports it.
    const stranger = await strangerAt(file).catch(() => undefined)
    if (stranger === undefined) continue
    const { what, cure } = stranger
    return `${what}, so that others could have their own code run as this user; "${cure}" ends that`
  }
  return undefined
}

// Time of the first import of each file. Node keeps what it imported: after an edit, only another
// address makes it read the file again, and of CommonJS it keeps the exports by file name beside that.
const firstImports = new Map<string, number>()
const { cache } = createRequire(import.meta.url)

async function editionOf(file: string, changed: number): Promise<string> {
  const first = firstImports.get(file) ?? changed
  firstImports.set(file, first)
  if (first === changed) return ''
  delete cache[await realpath(file)]
  return `?changed=${changed}`
}

async function importModule(kind: PluginKind, plugin: PluginUse, specifier: string): Promise<Record<string, unknown>> {
  const address = addressOf(specifier)
  notePluginFile(address, `${kind} ${plugin.use}`)
  sharePackagesWith(address)
  try {
    return (await import(specifier)) as Record<string, unknown>
  } catch (error) {
    const why = messageOf(error).split('\n')[0]
    const place = placeIn(plugin, error) || (await placeOfSyntax(specifier, error))
    throw mistake(plugin, `cannot load ${kind} ${plugin.use}: ${why}${place}`, { cause: error })
  }
}

/** ` (file:line)` where a file of the user's own threw. */
export function placeIn({ use }: PluginUse, error: unknown): string {
  const place = isFile(use) ? placeOf(error) : undefined
  return place === undefined ? '' : ` (${place})`
}

/** The same for a file that cannot be parsed: the error does not say where, but another Node does. */
async function placeOfSyntax(address: string, error: unknown): Promise<string> {
  if (!(error instanceof SyntaxError) || !address.startsWith('file:')) return ''
  const told = await new Promise<string>((resolve) => {
    const args = ['--check', fileURLToPath(address.replace(/\?.*$/, ''))]
    execFile(process.execPath, args, { env: {}, timeout: CHECK_TIME }, (_error, _stdout, stderr) => resolve(stderr))
  })
  const place = placeOf({ stack: told })
  return place === undefined ? '' : ` (${place})`
}

function addressOf(specifier: string): string {
  try {
    return import.meta.resolve(specifier)
  } catch {
    return specifier
  }
}
