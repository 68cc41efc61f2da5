import { readFile, realpath, stat } from 'node:fs/promises'
import { createRequire, findPackageJSON } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type {
  Host,
  PathSelector,
  PolicyFactory,
  Target,
  TargetFactory,
  Transport,
  TransportFactory,
} from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import type { PluginUse } from './config/config.ts'
import { hiderOf } from './config/secrets.ts'
import { ConfigError } from './config/source.ts'
import { notePluginFile } from './plugin-files.ts'
import { sharePackagesWith } from './plugin-imports.ts'

/** What a plugin makes. Its packages are named `@blockbraid/KIND-NAME`. */
export type PluginKind = 'policy' | 'target' | 'transport'

type Factory = (options: Readonly<Record<string, unknown>>, host?: Host) => unknown

const methods: Readonly<Record<PluginKind, readonly string[]>> = {
  policy: ['update', 'select'],
  target: ['discover', 'connect', 'close'],
  transport: ['attach', 'close'],
}

/** Imports a policy and returns what makes its selectors; one is made at once, so that a mistake shows now. */
export async function loadPolicy(plugin: PluginUse, folder: string, host: Host): Promise<() => PathSelector> {
  const factory = (await loadFactory('policy', plugin, folder)) as Factory & PolicyFactory
  // Each gets copies of its own: what a policy is given cannot change the agent, nor another policy.
  const create = (): PathSelector =>
    make('policy', factory, { ...plugin, options: copyOf(plugin.options) }, hostForPolicies(host)) as PathSelector
  create()
  return create
}

/** Imports a target plugin and makes a target. */
export async function loadTarget(plugin: PluginUse, folder: string, host: Host): Promise<Target> {
  const factory = (await loadFactory('target', plugin, folder)) as Factory & TargetFactory
  return make('target', factory, plugin, host) as Target
}

/**
 * Makes a target that looks around without disturbing a process that uses the same options, as the plugin's `scout`
 * says; undefined where it says nothing.
 */
export async function loadScout(plugin: PluginUse, folder: string, host: Host): Promise<Target | undefined> {
  const { scout } = await loadModule('target', plugin, folder)
  if (typeof scout !== 'function') return undefined
  return loadTarget({ ...plugin, options: scout(plugin.options) as PluginUse['options'] }, folder, host)
}

/** Imports a transport plugin and returns what makes its transports. */
export async function loadTransport(
  plugin: PluginUse,
  folder: string,
  host: Host,
): Promise<(options: Readonly<Record<string, unknown>>) => Transport> {
  const factory = (await loadFactory('transport', plugin, folder)) as Factory & TransportFactory
  return (options) => make('transport', factory, { ...plugin, options }, host) as Transport
}

function hostForPolicies({ clock, random }: Host): Host {
  return Object.freeze({
    clock: Object.freeze({
      now: () => clock.now(),
      after: (milliseconds: number, callback: () => void) => clock.after(milliseconds, callback),
      defer: (callback: () => void) => clock.defer(callback),
    }),
    random: () => random(),
  })
}

function copyOf<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map(copyOf) as Value
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyOf(item)])) as Value
}

function make(kind: PluginKind, factory: Factory, plugin: PluginUse, host: Host): unknown {
  let made: unknown
  try {
    made = factory(plugin.options, host)
  } catch (error) {
    throw mistake(plugin, `${kind} ${plugin.use}: ${messageOf(error)}`, error)
  }
  for (const method of methods[kind]) {
    if (typeof (made as Record<string, unknown> | null | undefined)?.[method] !== 'function')
      throw mistake(plugin, `${kind} ${plugin.use}: its factory returned no ${kind}: ${method}() is missing`)
  }
  return made
}

async function loadFactory(kind: PluginKind, plugin: PluginUse, folder: string): Promise<Factory> {
  const module = await loadModule(kind, plugin, folder)
  const factory = module['default']
  if (typeof factory !== 'function')
    throw mistake(plugin, `${kind} ${plugin.use}: its default export is not a function (options, host) => ${kind}`)
  return factory as Factory
}

/** Imports a plugin's module: a file relative to `folder`, else a package seen from there, else from here. */
export async function loadModule(
  kind: PluginKind,
  plugin: PluginUse,
  folder: string,
): Promise<Record<string, unknown>> {
  const { use } = plugin
  if (/^\.{0,2}\//.test(use)) {
    const file = isAbsolute(use) ? use : resolve(folder, use)
    const stats = await stat(file).catch(() => undefined)
    if (!stats?.isFile()) throw mistake(plugin, `there is no file ${file}`)
    return importModule(kind, plugin, `${pathToFileURL(file).href}${await editionOf(file, stats.mtimeMs)}`)
  }
  const names = /^[a-z0-9-]+$/.test(use) ? [`@blockbraid/${kind}-${use}`, use] : [use]
  for (const name of names) {
    const file = (await entryOf(name, folder)) ?? (isInstalledHere(name) ? name : undefined)
    if (file !== undefined) return importModule(kind, plugin, file)
  }
  throw mistake(plugin, `there is no ${kind} "${use}": install ${names[0]}`)
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
    throw mistake(plugin, `cannot load ${kind} ${plugin.use}: ${messageOf(error).split('\n')[0]}`, error)
  }
}

function addressOf(specifier: string): string {
  try {
    return import.meta.resolve(specifier)
  } catch {
    return specifier
  }
}

function isInstalledHere(name: string): boolean {
  return findManifest(name, import.meta.url) !== undefined
}

function findManifest(name: string, from: string): string | undefined {
  try {
    return findPackageJSON(name, from)
  } catch {
    return undefined
  }
}

/** The file that `import` of a package would load, were it written in a file of `folder`. */
async function entryOf(name: string, folder: string): Promise<string | undefined> {
  const manifest = findManifest(name, pathToFileURL(join(folder, 'config.yaml')).href)
  if (manifest === undefined) return undefined
  const { exports, main } = JSON.parse(await readFile(manifest, 'utf8')) as { exports?: unknown; main?: string }
  const subpath = name
    .split('/')
    .slice(name.startsWith('@') ? 2 : 1)
    .join('/')
  const entry = subpath === '' ? (pickExport(exports) ?? main ?? 'index.js') : entryBelow(exports, subpath)
  if (entry === undefined) return undefined
  return pathToFileURL(resolve(manifest, '..', entry)).href
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

function mistake(plugin: PluginUse, text: string, cause?: unknown): Error {
  const hider = hiderOf(plugin.options)
  const told = hider.hide(text)
  const harmless = hider.cause(cause)
  const options = harmless === undefined ? undefined : { cause: harmless }
  if (plugin.at === undefined) return new BlockError('NOT_FOUND', told, options)
  return new ConfigError(`${plugin.at}: ${told}`, options)
}
