import { execFile } from 'node:child_process'
import { readFile, realpath, stat } from 'node:fs/promises'
import { createRequire, findPackageJSON } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
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
import packageJson from '../../package.json' with { type: 'json' }
import type { PluginUse } from '../config/config.ts'
import { hiderOf } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'
import { strangerAt } from '../files/strangers.ts'
import { notePluginFile, placeOf } from './plugin-files.ts'
import { sharePackagesWith } from './plugin-imports.ts'

const { dependencies }: { dependencies: Readonly<Record<string, string>> } = packageJson

/** How long another Node may take to find a mistake in a file, milliseconds. */
const CHECK_TIME = 5000

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
    const place = kind === 'policy' ? placeIn(plugin, error) : ''
    throw mistake(plugin, `${kind} ${plugin.use}: ${messageOf(error)}${place}`, error)
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
  const names = /^[a-z0-9-]+$/.test(use) ? [`@blockbraid/${kind}-${use}`, use] : [use]
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
  throw mistake(plugin, refused ?? `there is no ${kind} "${use}": install ${names[0]}`)
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
    throw mistake(plugin, `cannot load ${kind} ${plugin.use}: ${why}${place}`, error)
  }
}

/** ` (file:line)` where a file of the user's own threw. */
function placeIn({ use }: PluginUse, error: unknown): string {
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

function findManifest(name: string, from: string): string | undefined {
  try {
    return findPackageJSON(name, from)
  } catch {
    return undefined
  }
}

/** The file that `import` of a package would load, were it written in a file of `folder`. */
async function entryOf(name: string, folder: string): Promise<{ manifest: string; file: string } | undefined> {
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

function mistake(plugin: PluginUse, text: string, cause?: unknown): Error {
  const hider = hiderOf(plugin.options)
  const told = hider.hide(text)
  const harmless = hider.cause(cause)
  const options = harmless === undefined ? undefined : { cause: harmless }
  if (plugin.at === undefined) return new BlockError('NOT_FOUND', told, options)
  return new ConfigError(`${plugin.at}: ${told}`, options)
}
