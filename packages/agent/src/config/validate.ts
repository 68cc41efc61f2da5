import type { ErrorObject } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { DataValidationCxt } from 'ajv/dist/types/index.js'
import schema from '../../schema/config.schema.json' with { type: 'json' }
import { nearest } from './nearest.ts'
import { isSecret } from './secrets.ts'
import type { Source, Step } from './source.ts'
import { ConfigError } from './source.ts'
import { describeTorn } from './torn.ts'
import { parseByteRate, parseDuration, parseSize } from './units.ts'

/** What the messages take from a schema. */
interface Wording {
  title?: string
  examples?: readonly unknown[]
  properties?: Readonly<Record<string, Wording & { $ref?: string }>>
  numberFrom?: number
}

/** What reads a value of each unit that a schema names. */
const parsers: Readonly<Record<string, (value: unknown) => number | undefined>> = {
  bytes: parseSize,
  'bytes a second': parseByteRate,
  milliseconds: parseDuration,
}

/** Seconds up to this many are a time that somebody may have meant: a day. */
const MEANT_SECONDS = 86_400

/** A schema of a kind of file. */
interface Schema {
  readonly $id: string
  readonly $defs: object
}

const compiled = new Map<Schema, ReturnType<typeof compile>>()

function compiledOf(wanted: Schema): ReturnType<typeof compile> {
  const known = compiled.get(wanted) ?? compile(wanted)
  compiled.set(wanted, known)
  return known
}

/**
 * Checks a config against the published schema, or another kind of file against its own, and turns sizes into bytes and
 * durations into milliseconds. Throws a {@link ConfigError} for the mistake that stands first in the file. `tell` is
 * told, in a line, of what is right and may be meant otherwise.
 */
export function validate(source: Source, tell: (line: string) => void = () => {}, wanted: Schema = schema): unknown {
  const { check, numbers } = compiledOf(wanted)
  numbers.clear()
  for (;;) {
    if (check(source.value)) {
      for (const pointer of numbers) tellOfNumber(stepsOf(pointer, source.value), source, tell)
      return source.value
    }
    const mistakes = (check.errors ?? []).filter((error) => error.keyword !== 'if')
    if (!mistakes.some((mistake) => convertVariable(mistake, source))) throw first(mistakes, source)
  }
}

/** What checks a config, and where it has met durations without a unit since `numbers` was cleared. */
function compile(wanted: Schema) {
  const numbers = new Set<string>()
  // What was made a number here: with YAML's aliases, and when it is checked again, it comes once more.
  const converted = new WeakMap<object, Set<Step>>()
  const ajv = new Ajv2020({ allErrors: true, verbose: true, allowUnionTypes: true, strictTypes: false })
  ajv.addKeyword({
    keyword: 'unit',
    modifying: true,
    errors: false,
    validate: (unit: string, value: unknown, wording: Wording = {}, place?: DataValidationCxt) => {
      const amount = (parsers[unit] ?? parseDuration)(value)
      if (amount === undefined || place === undefined) return false
      const { parentData, parentDataProperty: step, instancePath } = place
      const here = converted.get(parentData) ?? new Set()
      if (typeof value === 'number' && !here.has(step) && value !== 0 && wording.numberFrom !== undefined) {
        if (value < wording.numberFrom) return false
        numbers.add(instancePath)
      }
      if (typeof value === 'string') converted.set(parentData, here.add(step))
      ;(parentData as Record<Step, unknown>)[step] = amount
      return true
    },
  })
  ajv.addKeyword('numberFrom')
  // Other kinds of files have some of its parts.
  ajv.addSchema(schema)
  const check = wanted === schema ? ajv.getSchema(schema.$id)! : ajv.compile(wanted)
  return { check, policy: ajv.getSchema(`${schema.$id}#/$defs/policy`)!, numbers }
}

/** A number that was long taken as milliseconds, and may be meant as seconds all the same. */
function tellOfNumber(path: readonly Step[], source: Source, tell: (line: string) => void): void {
  const number = Number(source.spelling(path))
  if (!(number <= MEANT_SECONDS)) return
  tell(
    `${source.locate(path)}: ${nameField(path)} is ${number}, taken as ${number}ms: write ${number}ms, or ${number}s`,
  )
}

/** The options of a policy that came from no file, checked and converted as a config's are. Throws a TypeError. */
export function checkPolicy(use: string, options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { policy } = compiledOf(schema)
  const defs: Readonly<Record<string, object>> = schema.$defs
  const torn = describeTorn(options, defs[use.replace(/^(@blockbraid\/policy-)?/, 'policy-')] ?? {})
  if (torn !== undefined) throw new TypeError(`policy ${use}: ${torn}`)
  const { use: ofOptions, ...others } = options
  const value: Record<string, unknown> = { ...others, use }
  if (!policy(value)) {
    const plain = { value, locate: () => '', locateKey: () => '', spelling: () => undefined, isVariable: () => false }
    const mistakes = (policy.errors ?? []).filter(({ keyword }) => keyword !== 'if')
    throw new TypeError(`policy ${use}: ${describe(mistakes[0]!, plain, ['use']).text}`)
  }
  if (ofOptions !== undefined)
    throw new TypeError(`policy ${use}: use is not an option of a policy: the policy is named before its options`)
  const { use: _use, ...converted } = value
  return converted
}

/** A variable is text; where the schema wants a number or a boolean it is made one. */
function convertVariable(mistake: ErrorObject, source: Source): boolean {
  if (mistake.keyword !== 'type') return false
  const path = stepsOf(mistake.instancePath, source.value)
  const text = mistake.data
  if (typeof text !== 'string' || !source.isVariable(path)) return false
  const wanted = [(mistake.params as { type: string | string[] }).type].flat()
  const isNumber = /^-?\d+(\.\d+)?$/.test(text) && (wanted.includes('integer') || wanted.includes('number'))
  const isBoolean = /^(true|false)$/.test(text) && wanted.includes('boolean')
  if (!isNumber && !isBoolean) return false
  const parent = path.slice(0, -1).reduce((value, step) => (value as Record<Step, unknown>)[step], source.value)
  ;(parent as Record<Step, unknown>)[path.at(-1)!] = isNumber ? Number(text) : text === 'true'
  return true
}

function first(mistakes: readonly ErrorObject[], source: Source): ConfigError {
  const told = mistakes.map((mistake) => describe(mistake, source))
  // A misspelt name before the missing one that was meant.
  told.sort((a, b) => order(a.at, b.at) || Number(a.missing) - Number(b.missing))
  const { at, text } = told[0]!
  return new ConfigError(`${at}: ${text}`)
}

function order(a: string, b: string): number {
  const [lineA, columnA] = a.split(':').slice(-2).map(Number) as [number, number]
  const [lineB, columnB] = b.split(':').slice(-2).map(Number) as [number, number]
  return lineA - lineB || columnA - columnB
}

/** A mistake, and its place; `hidden`: names that no message gives. */
function describe(
  mistake: ErrorObject,
  source: Source,
  hidden: readonly string[] = [],
): { at: string; text: string; missing: boolean } {
  const path = stepsOf(mistake.instancePath, source.value)
  const field = nameField(path)
  const wording = (mistake.parentSchema ?? {}) as Wording
  const params = mistake.params as { missingProperty?: string; additionalProperty?: string }
  if (params.missingProperty !== undefined) {
    const name = params.missingProperty
    const missing = nameField([...path, name])
    const text = `${missing} is missing: add ${expected(resolve(wording.properties?.[name]))}`
    return { at: source.locate(path), text, missing: true }
  }
  if (params.additionalProperty !== undefined) {
    const name = params.additionalProperty
    const known = Object.keys(wording.properties ?? {}).filter((each) => !hidden.includes(each))
    const meant = nearest(name, known)
    const list = known.every((each) => each === 'use') ? 'it has none' : `known here: ${known.join(', ')}`
    const advice = meant === undefined ? list : `did you mean ${meant}?`
    const text = `${nameField([...path, name])} is not a known option: ${advice}`
    return { at: source.locateKey(path, name), text, missing: false }
  }
  const value = mistake.data
  const is = describeValue(path, value, source)
  if (mistake.keyword === 'unit' && wording.numberFrom !== undefined && parseDuration(value) !== undefined) {
    const number = String(value)
    return { at: source.locate(path), text: `${field} ${is}: write ${number}s, or ${number}ms`, missing: false }
  }
  return { at: source.locate(path), text: `${field} ${is}: it must be ${expected(wording)}`, missing: false }
}

function resolve(wording: (Wording & { $ref?: string }) | undefined): Wording {
  const name = wording?.$ref?.replace(/^.*#\/\$defs\//, '')
  const target = name === undefined ? {} : (schema.$defs as unknown as Record<string, Wording>)[name]
  return { ...target, ...wording }
}

function expected(wording: Wording): string {
  const what = wording.title ?? 'a value'
  const example = wording.examples?.[0]
  return example === undefined ? what.replace(/,$/, '') : `${what} such as ${String(example)}`
}

function describeValue(path: readonly Step[], value: unknown, source: Source): string {
  if (value === null || value === undefined) return 'is empty'
  if (Array.isArray(value)) return value.length === 0 ? 'is an empty list' : 'is a list'
  if (typeof value === 'object') return 'is a mapping'
  if (path.some((step) => isSecret(String(step)))) return 'is wrong'
  const spelling = source.spelling(path) ?? JSON.stringify(value)
  return `is ${spelling.length > 60 ? `${spelling.slice(0, 57)}...` : spelling}`
}

/** `devices[0].name` */
function nameField(path: readonly Step[]): string {
  const name = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')
  return name === '' ? 'the file' : name.replace(/^\./, '')
}

function stepsOf(pointer: string, root: unknown): Step[] {
  const steps: Step[] = []
  let value = root
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    const step = Array.isArray(value) ? Number(key) : key
    steps.push(step)
    value = (value as Record<Step, unknown> | undefined)?.[step]
  }
  return steps
}
