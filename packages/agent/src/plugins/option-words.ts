import type { ErrorObject } from 'ajv'
import { nearest } from '../config/nearest.ts'
import { isSecret } from '../config/secrets.ts'

/** What the messages take from a schema. */
interface Wording {
  readonly properties?: Readonly<Record<string, unknown>>
  readonly title?: string
  readonly examples?: readonly unknown[]
}

/** Kinds of values as YAML has them. */
const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a mapping',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  null: 'empty',
}

/** What is wrong with the options of a policy, for people; it begins with the name of the option. */
export function describeMistakes(errors: readonly ErrorObject[]): string {
  const union = errors.find(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
  const mistake = union ?? errors[0]!
  const { instancePath, keyword, params, data } = mistake
  const field = instancePath.slice(1).replaceAll('/', '.')
  const within = (name: unknown): string => (field === '' ? String(name) : `${field}.${String(name)}`)
  const { properties = {}, title, examples } = mistake.parentSchema as Wording
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
  const choices = union === undefined ? [mistake] : errors.filter((each) => each.instancePath === instancePath)
  const must = title === undefined ? mustOf(choices) : `it must be ${title}${example}`
  return `${field === '' ? 'the options' : field} is ${value}; ${must}`
}

/** What a value must be that may be of one of several kinds, or must be what one rule says. */
function mustOf(errors: readonly ErrorObject[]): string {
  const [{ keyword, params, message }] = errors as readonly [ErrorObject]
  const types = errors.flatMap((error) => (error.keyword === 'type' ? (error.params['type'] as string | string[]) : []))
  if (types.length > 1) return `it must be ${types.map((type) => TYPES[type] ?? 'a text').join(' or ')}`
  const [type = ''] = types
  if (keyword === 'type' && TYPES[type] !== undefined) return `it must be ${TYPES[type]}`
  const text = String(message)
    .replace(/^must be/, 'it must be')
    .replace(/^must /, 'it must ')
  if (keyword === 'enum') return `${text}: ${(params['allowedValues'] as unknown[]).map(valueWords).join(', ')}`
  return keyword === 'const' ? `it must be ${valueWords(params['allowedValue'])}` : text
}

function valueWords(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
