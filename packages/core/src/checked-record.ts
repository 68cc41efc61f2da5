/** `value`, where it is an object of fields or undefined; throws a TypeError that names `field` where it is anything else. */
export function checkedRecord<Value extends object>(field: string, value: Value | undefined): Value | undefined {
  if (value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value))) return value
  throw new TypeError(`${field} is ${Array.isArray(value) ? 'a list' : String(value)}; it must be an object`)
}
