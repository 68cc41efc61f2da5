import { inspect } from 'node:util'

/** Throws a TypeError unless `value` is an integer in the range. */
export function needInteger(name: string, value: unknown, min: number, max: number): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return
  throw wrong(name, value, `an integer from ${min} to ${max}`)
}

/** Throws a TypeError unless `value` can be a file descriptor. */
export function needFd(name: string, value: unknown): asserts value is number {
  needInteger(name, value, 0, 2 ** 31 - 1)
}

/** Throws a TypeError unless `value` is a function. */
export function needFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrong(name, value, 'a function')
}

/** The TypeError for a wrong argument. */
export function wrong(name: string, value: unknown, right: string): TypeError {
  return new TypeError(`${name} is ${inspect(value, { depth: 0, breakLength: Infinity })}, must be ${right}`)
}
