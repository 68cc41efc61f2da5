import type { ErrorObject, ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { PluginUse } from '../config/config.ts'
import { nearest } from '../config/nearest.ts'
import { isSecret } from '../config/secrets.ts'
import { describeTorn } from '../config/torn.ts'
import { mistake } from './mistake.ts'

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
  if (torn !== undefined) throw mistake(plugin, `policy ${plugin.use}: ${torn}`)
  if (check(plugin.options)) return
  throw mistake(plugin, `policy ${plugin.use}: ${describe(check.errors![0]!)}`)
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

function describe({ instancePath, keyword, params, parentSchema, data, message }: ErrorObject): string {
  const field = instancePath.slice(1).replaceAll('/', '.')
  const within = (name: unknown): string => (field === '' ? String(name) : `${field}.${String(name)}`)
  const {
    properties = {},
    title,
    examples,
  } = parentSchema as {
    properties?: Readonly<Record<string, unknown>>
    title?: string
    examples?: readonly unknown[]
  }
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const name = String(params['additionalProperty'] ?? params['unevaluatedProperty'])
    const known = Object.keys(properties)
    const meant = nearest(name, known)
    const others = known.length === 0 ? 'it has none' : `known here: ${known.join(', ')}`
    return `${within(name)} is not a known option: ${meant === undefined ? others : `did you mean ${meant}?`}`
  }
  if (keyword === 'required') return `${within(params['missingProperty'])} is missing`
  const value = field.split('.').some(isSecret) ? 'wrong' : JSON.stringify(data)
  const example = examples?.[0] === undefined ? '' : ` such as ${String(examples[0])}`
  const must =
    title === undefined
      ? String(message)
          .replace(/^must be/, 'it must be')
          .replace(/^must /, 'it must ')
      : `it must be ${title}${example}`
  return `${field === '' ? 'the options' : field} is ${value}; ${must}`
}
