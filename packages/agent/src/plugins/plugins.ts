import type {
  Host,
  PathSelector,
  PolicyFactory,
  Target,
  TargetFactory,
  Transport,
  TransportFactory,
} from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { PluginUse } from '../config/config.ts'
import { mistake } from './mistake.ts'
import type { PluginKind } from './modules.ts'
import { loadModule, placeIn } from './modules.ts'
import { checkOptions } from './policy-options.ts'

/** Makes a transport of options. */
export type CreateTransport = (options: Readonly<Record<string, unknown>>) => Transport

type Factory = (options: Readonly<Record<string, unknown>>, host?: Host) => unknown

const methods: Readonly<Record<PluginKind, readonly string[]>> = {
  policy: ['update', 'select'],
  target: ['discover', 'connect', 'close'],
  transport: ['attach', 'close'],
}

/** Imports a policy and returns what makes its selectors; one is made at once, so that a mistake shows now. */
export async function loadPolicy(plugin: PluginUse, folder: string, host: Host): Promise<() => PathSelector> {
  const module = await loadModule('policy', plugin, folder)
  const factory = factoryOf('policy', plugin, module) as Factory & PolicyFactory
  checkOptions(plugin, module)
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
export async function loadTransport(plugin: PluginUse, folder: string, host: Host): Promise<CreateTransport> {
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
    const text = messageOf(error)
    // As messages of factories begin.
    const [, option] = /^(\w+)\b.* is /.exec(text) ?? []
    throw mistake(plugin, `${kind} ${plugin.use}: ${text}${place}`, { cause: error, option })
  }
  for (const method of methods[kind]) {
    if (typeof (made as Record<string, unknown> | null | undefined)?.[method] !== 'function')
      throw mistake(plugin, `${kind} ${plugin.use}: its factory returned no ${kind}: ${method}() is missing`)
  }
  if (kind === 'policy') mustHaveName(plugin, made as PathSelector)
  return made
}

function mustHaveName(plugin: PluginUse, { name }: Partial<PathSelector>): void {
  if (typeof name === 'string' && name !== '') return
  const is = typeof name === 'string' ? 'empty' : typeof name
  throw mistake(plugin, `policy ${plugin.use}: its factory returned no policy: its name is ${is}, and must be a text`)
}

async function loadFactory(kind: PluginKind, plugin: PluginUse, folder: string): Promise<Factory> {
  return factoryOf(kind, plugin, await loadModule(kind, plugin, folder))
}

function factoryOf(kind: PluginKind, plugin: PluginUse, module: Readonly<Record<string, unknown>>): Factory {
  const factory = module['default']
  if (typeof factory !== 'function')
    throw mistake(plugin, `${kind} ${plugin.use}: its default export is not a function (options, host) => ${kind}`)
  return factory as Factory
}
