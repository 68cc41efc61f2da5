/** What is looked at of a schema. */
interface Properties {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown } | true>>
}

// Such as [fd00::1]:3260.
const ADDRESS = /^\[[0-9a-f:.]+(%\w+)?\](:\d+)?$/i

/**
 * What is wrong with options that may be a list or a mapping, by their schema, and are a text that begins as one; undefined
 * where nothing is. What is whole is no text any more.
 */
export function describeTorn(options: Readonly<Record<string, unknown>>, schema: object): string | undefined {
  const { properties = {} } = schema as Properties
  for (const [name, value] of Object.entries(options)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (typeof value !== 'string' || typeof property !== 'object' || ADDRESS.test(value)) continue
    const types = [property.type].flat()
    const is = `${name} is ${JSON.stringify(value)}, which is no whole`
    if (value.startsWith('[') && types.includes('array')) return `${is} list: write ["a", "b"]`
    if (value.startsWith('{') && types.includes('object')) return `${is} mapping: write {"a": 1}`
  }
  return undefined
}
