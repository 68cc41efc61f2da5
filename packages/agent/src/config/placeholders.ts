/** What may stand in braces in names and in the options of a transport. */
export const placeholders = ['n', 'name', 'volume', 'serial', 'lun'] as const

/** Name of one of them. */
export type Placeholder = (typeof placeholders)[number]

/** Text for each of them that is known. */
export type Texts = Readonly<Partial<Record<Placeholder, string>>>

/** Fills `{placeholders}` in; others stay as they are. */
export function fillIn(template: string, texts: Texts): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(texts, name) ? texts[name as Placeholder]! : whole,
  )
}

/** The same for every text inside a value. */
export function fillInAll(value: unknown, texts: Texts): unknown {
  if (typeof value === 'string') return fillIn(value, texts)
  if (Array.isArray(value)) return value.map((item) => fillInAll(item, texts))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillInAll(item, texts)]))
}

/** Whether a text inside a value holds a placeholder. */
export function mentions(value: unknown, name: Placeholder): boolean {
  if (typeof value === 'string') return value.includes(`{${name}}`)
  if (Array.isArray(value)) return value.some((item) => mentions(item, name))
  return isPlainObject(value) && Object.values(value).some((item) => mentions(item, name))
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
