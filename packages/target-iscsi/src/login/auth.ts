import { BlockError } from '@blockbraid/core'
import type { Chap, ChapAlgorithm } from './chap.ts'
import { shown } from './text.ts'

/** The security stage from the initiator's side (RFC 7143 §6.3.3). */
export interface Auth {
  /** Value of AuthMethod. */
  readonly offer: string
  /** Takes the target's security keys of one exchange, gives ours for the next. Throws DENIED, PROTOCOL. */
  step(keys: ReadonlyMap<string, string>): [key: string, value: string][]
  /** The hash that CHAP agreed on, if any. */
  algorithm(): ChapAlgorithm | undefined
  /** Whether the target is about to choose an algorithm. */
  choosing(): boolean
  /** How far it went, for messages. */
  describe(): string
  /** Whether we are willing to leave the stage. */
  ready(): boolean
  /** Called when the target leaves the stage. Throws DENIED where it owes us a proof. */
  finish(): void
}

const chapKeys = ['CHAP_A', 'CHAP_I', 'CHAP_C', 'CHAP_N', 'CHAP_R']

/** Whether `key` belongs to the security stage. */
export function isSecurityKey(key: string): boolean {
  return key === 'AuthMethod' || chapKeys.includes(key)
}

/**
 * Without CHAP only `None` is offered. One-way CHAP is offered with `None`, for targets that do not ask;
 * mutual CHAP alone, so that nobody can talk us out of the target's proof.
 */
export function createAuth(chap: Chap | undefined): Auth {
  const methods = chap === undefined ? ['None'] : chap.mutual ? ['CHAP'] : ['CHAP', 'None']
  let state: 'method' | 'challenge' | 'proof' | 'done' = 'method'

  function takeMethod(keys: ReadonlyMap<string, string>): [string, string][] {
    const method = onlyKeys(keys, ['AuthMethod'])?.get('AuthMethod')
    if (method === undefined) return []
    if (method === 'Reject') {
      throw new BlockError(
        'DENIED',
        `the target takes none of the offered ways to authenticate (${methods.join(', ')})`,
      )
    }
    if (method === 'CHAP' && chap === undefined) {
      throw new BlockError('DENIED', 'the target asks for CHAP, and no chap credentials are configured')
    }
    if (method === 'None' && chap?.mutual) {
      throw new BlockError('DENIED', 'the target does not authenticate, and chap.target asks for its proof')
    }
    if (!methods.includes(method)) {
      throw new BlockError('PROTOCOL', `the target chose AuthMethod ${shown(method)}, which was not offered`)
    }
    state = method === 'CHAP' ? 'challenge' : 'done'
    return method === 'CHAP' ? [['CHAP_A', chap!.offer]] : []
  }

  function takeChallenge(keys: ReadonlyMap<string, string>): [string, string][] {
    if (onlyKeys(keys, ['CHAP_A', 'CHAP_I', 'CHAP_C']) === undefined) return []
    const pairs = chap!.respond(keys)
    state = chap!.mutual ? 'proof' : 'done'
    return pairs
  }

  function takeProof(keys: ReadonlyMap<string, string>): [string, string][] {
    if (onlyKeys(keys, ['CHAP_N', 'CHAP_R']) === undefined) return []
    chap!.verify(keys)
    state = 'done'
    return []
  }

  function step(keys: ReadonlyMap<string, string>): [string, string][] {
    if (state === 'method') return takeMethod(keys)
    if (state === 'challenge') return takeChallenge(keys)
    if (state === 'proof') return takeProof(keys)
    onlyKeys(keys, [])
    return []
  }

  function describe(): string {
    const algorithm = chap?.chosen()
    if (algorithm !== undefined) return `after CHAP with ${algorithm}`
    return state === 'challenge' ? `CHAP with ${chap!.names} offered` : `AuthMethod=${methods.join(',')} offered`
  }

  function ready(): boolean {
    return state === 'done' || state === 'proof' || chap === undefined
  }

  function finish(): void {
    if (state === 'proof') {
      throw new BlockError('DENIED', 'the target did not prove itself, and chap.target asks for its proof')
    }
    state = 'done'
  }

  function choosing(): boolean {
    return state === 'challenge' && chap?.chosen() === undefined
  }

  return { offer: methods.join(','), step, algorithm: () => chap?.chosen(), choosing, describe, ready, finish }
}

/** `keys`, or undefined where there are none. Throws PROTOCOL for a key that is not among `allowed`. */
function onlyKeys(keys: ReadonlyMap<string, string>, allowed: readonly string[]): typeof keys | undefined {
  for (const key of keys.keys()) {
    if (!allowed.includes(key)) throw new BlockError('PROTOCOL', `the target sent ${key} out of turn`)
  }
  return keys.size === 0 ? undefined : keys
}
