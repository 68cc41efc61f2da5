import { BlockError } from '@blockbraid/core'

// RFC 7143 §11.17.1.
const reasons: Readonly<Record<number, string>> = {
  2: 'data digest error',
  3: 'SNACK refused',
  4: 'protocol error',
  5: 'command not supported',
  6: 'too many immediate commands',
  7: 'task in progress',
  8: 'invalid data acknowledgement',
  9: 'invalid PDU field',
  10: 'out of resources',
  11: 'negotiation reset',
  12: 'waiting for logout',
}

/** The error for a Reject PDU with this reason. */
export function rejection(reason: number): BlockError {
  const text = reasons[reason] ?? `reason ${reason}`
  return new BlockError('PROTOCOL', `the target rejected a request: ${text}`)
}
