import { BlockError } from '@blockbraid/core'

// AUTHREQ in dword 0 of the answer to Connect (NVMe Base 2.1 §6.3): authentication, and authentication with a secure channel.
const ATR = 1 << 17
const ASCR = 1 << 18

/** Whether dword 0 of the answer to a Connect asks for authentication, by itself or with a secure channel. */
export function asksToAuthenticate(connected: number): boolean {
  return (connected & (ATR | ASCR)) !== 0
}

/**
 * Whether a queue has to authenticate before anything else, from dword 0 of the answer to its Connect: where the controller
 * asks for it, or `insists`, as this host wants its proof. Throws NOT_SUPPORTED where a secure channel is wanted.
 */
export function mustAuthenticate(connected: number, insists: boolean): boolean {
  if ((connected & ASCR) === 0) return insists || (connected & ATR) !== 0
  throw new BlockError(
    'NOT_SUPPORTED',
    'the controller wants a secure channel made of the authentication (AUTHREQ.ASCR), which blockbraid does not do: ' +
      'give both sides a TLS key, and let the target ask for authentication alone',
  )
}
