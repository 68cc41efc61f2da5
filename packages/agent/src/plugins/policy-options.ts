import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { PluginUse } from '../config/config.ts'
import { describeTorn } from '../config/torn.ts'
import { mistake } from './mistake.ts'
import { describeMistakes } from './option-words.ts'

const compiled = new WeakMap<object, ValidateFunction>()

/**
 * Checks the options of a policy against the JSON Schema that its module exports as `options`, if it does. Throws an error
 * that names the option, and its place in the config.
 */
export function checkOptions(plugin: PluginUse, module: Readonly<Record<string, unknown>>): void {
  const { options: schema } = module
  if (schema === undefined) return
  const check = compile(plugin, schema)
  const torn = describeTorn(plugin.options, schema as object)
  if (torn === undefined && check(plugin.options)) return
  const text = torn ?? describeMistakes(check.errors!)
  const [option] = text.split(/[ .]/, 1)
  throw mistake(plugin, `policy ${plugin.use}: ${text}`, { option })
}

function compile(plugin: PluginUse, schema: unknown): ValidateFunction {
  const wrong = (why: string): Error =>
    mistake(plugin, `policy ${plugin.use}: what it exports as options is no JSON Schema: ${why}`)
  if (typeof schema !== 'object' || schema === null) throw wrong(`it is ${schema === null ? 'null' : typeof schema}`)
  const known = compiled.get(schema)
  if (known !== undefined) return known
  try {
    const check = new Ajv2020({ verbose: true, allowUnionTypes: true, strict: false }).compile(schema)
    compiled.set(schema, check)
    return check
  } catch (error) {
    throw wrong((error as Error).message)
  }
}
