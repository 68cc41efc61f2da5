import type { ErrorCode } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** RFC 7143 §11.13.5, classes 2 and 3. Keys are class and detail; values the code and what it means. */
const refusals: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [0x0200, ['CONNECT_FAILED', 'an error of the initiator, not told which']],
  [0x0201, ['DENIED', 'authentication failed, or the target asks for one that was not offered']],
  [0x0202, ['DENIED', 'this initiator is not allowed to use the target']],
  [0x0203, ['NOT_FOUND', 'no target of that name here']],
  [0x0204, ['NOT_FOUND', 'the target was removed, and left no new address']],
  [0x0205, ['NOT_SUPPORTED', 'the target does not speak this version of iSCSI']],
  [0x0206, ['CONNECT_FAILED', 'too many connections']],
  [0x0207, ['PROTOCOL', 'the target misses a parameter']],
  [0x0208, ['CONNECT_FAILED', 'the connection cannot be part of the session']],
  [0x0209, ['NOT_SUPPORTED', 'the target does not offer this type of session']],
  [0x020a, ['CONNECT_FAILED', 'the session does not exist']],
  [0x020b, ['PROTOCOL', 'the target takes the request as invalid during login']],
  [0x0300, ['CONNECT_FAILED', 'an error of the target']],
  [0x0301, ['CONNECT_FAILED', 'the target is not operational at present']],
  [0x0302, ['CONNECT_FAILED', 'the target is out of resources']],
])

const NOT_ALLOWED = 0x0202

/**
 * The error for a login response of status class 2 or above; `after` tells how far authentication went, `answered`
 * whether it was the answer to credentials: then an error of the initiator is that they are wrong; `name` is what the
 * initiator is called.
 */
export function loginRefused(
  statusClass: number,
  detail: number,
  after: string,
  answered = false,
  name = '',
): BlockError {
  const told = (statusClass << 8) | detail
  const status = answered && told === 0x0200 ? 0x0201 : told
  const where = `(status 0x${told.toString(16).padStart(4, '0')}, ${after})`
  const known = refusals.get(status)
  if (known !== undefined) {
    const cure = status === NOT_ALLOWED && name !== '' ? `; the array has to allow ${name}` : ''
    return new BlockError(known[0], `the target refused the login: ${known[1]} ${where}${cure}`)
  }
  if (statusClass === 2 || statusClass === 3) {
    return new BlockError('CONNECT_FAILED', `the target refused the login for a reason of its own ${where}`)
  }
  return new BlockError('PROTOCOL', `the target answered the login with an unknown status ${where}`)
}
