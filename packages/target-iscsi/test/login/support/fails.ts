import type { ErrorCode } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** The BlockError that `call` throws; anything else fails the test. */
export function blockErrorOf(call: () => unknown, code: ErrorCode): BlockError {
  try {
    call()
  } catch (error) {
    if (!BlockError.is(error)) throw error
    if (error.code !== code) throw new Error(`${error.code} instead of ${code}: ${error.message}`)
    return error
  }
  throw new Error(`nothing thrown instead of ${code}`)
}
