import { BlockError } from '@blockbraid/core'
import type { Dhchap } from './credentials.ts'

// AUTHREQ in dword 0 of the answer to Connect (NVMe Base 2.1 §6.3): authentication, and authentication with a secure channel.
const ATR = 1 << 17
const ASCR = 1 << 18

/**
 * Whether a queue has to authenticate before anything else, from dword 0 of the answer to its Connect: where the controller
 * asks for it, and on the admin queue wherever the controller itself has to prove who it is. Throws DENIED without
 * credentials, NOT_SUPPORTED where a secure channel is wanted.
 */
export function mustAuthenticate(connected: number, queue: 'admin' | 'io', dhchap: Dhchap | undefined): boolean {
  if ((connected & ASCR) !== 0) {
    throw new BlockError(
      'NOT_SUPPORTED',
      'the controller wants a secure channel made of the authentication (AUTHREQ.ASCR), which blockbraid does not do: ' +
        'give both sides a TLS key, and let the target ask for authentication alone',
    )
  }
  if ((connected & ATR) === 0) return queue === 'admin' && dhchap?.controllerSecret !== undefined
  if (dhchap !== undefined) return true
  throw new BlockError('DENIED', 'the controller asks for authentication (DH-HMAC-CHAP): give dhchap.secret')
}
