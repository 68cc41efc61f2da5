import { createHash, timingSafeEqual } from 'node:crypto'
import { BlockError } from '@blockbraid/core'
import { shown } from './text.ts'
import { encodeBinary, parseBinary, parseNumber } from './values.ts'

/** Hash algorithms of CHAP. */
export type ChapAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha3-256'

/** Credentials of CHAP (RFC 7143 §12.1). */
export interface ChapOptions {
  /** Our name. */
  readonly user: string
  /** Our secret. */
  readonly secret: string
  /** Mutual CHAP: what the target must prove to know; with `user`, the name that it must give. */
  readonly target?: { readonly user?: string | undefined; readonly secret: string } | undefined
  /** What we offer, in order of preference. */
  readonly algorithms: readonly ChapAlgorithm[]
  /** What we offer only where the target takes none of those. */
  readonly reserve?: readonly ChapAlgorithm[] | undefined
  /** Why they must not be used, without the secrets. */
  readonly fault?: string | undefined
}

/**
 * Which algorithms to offer after a target has refused `offered`, fewer each time: some refuse a whole list for a number
 * that they do not know. `chosen`: it has taken that one, and then refused the credentials. Undefined: nothing is left.
 */
export function nextOffer(
  offered: readonly ChapAlgorithm[],
  chosen: ChapAlgorithm | undefined,
  { reserve = [] }: ChapOptions,
): readonly ChapAlgorithm[] | undefined {
  const all = [...new Set([...offered, ...reserve])]
  const without = (one: ChapAlgorithm): readonly ChapAlgorithm[] => all.filter((other) => other !== one)
  let next: readonly ChapAlgorithm[] = []
  // tgt up to 1.0 takes number 7 of CHAP_A, which IANA has given to SHA-256, for SHA-1, and so refuses a right secret.
  if (chosen !== undefined) next = chosen === 'sha256' ? without(chosen) : []
  else if (all.includes('sha3-256')) next = without('sha3-256')
  else if (all.includes('sha256')) next = without('sha256')
  else if (all.length > 1) next = all.slice(-1)
  return next.length === 0 ? undefined : next
}

/** Numbers in CHAP_A, from IANA's registry. */
export const chapNumbers: Readonly<Record<ChapAlgorithm, number>> = { md5: 5, sha1: 6, sha256: 7, 'sha3-256': 8 }

/** Length of a response, bytes. */
const digestLength: Readonly<Record<ChapAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, 'sha3-256': 32 }

/** Longest challenge, bytes (RFC 7143 §12.1.3). */
const maxChallenge = 1024

/** The response to a challenge: the hash of identifier, secret and challenge (RFC 1994 §4.1). */
export function chapResponse(algorithm: ChapAlgorithm, id: number, secret: string, challenge: Uint8Array): Buffer {
  try {
    return createHash(algorithm).update(Uint8Array.of(id)).update(secret, 'utf8').update(challenge).digest()
  } catch {
    throw new BlockError('NOT_SUPPORTED', `this host's OpenSSL does not offer ${algorithm}, which CHAP agreed on`)
  }
}

/** What the target sent in the step that CHAP_A opened. */
interface Challenge {
  algorithm: ChapAlgorithm
  id: number
  challenge: Buffer
}

/** The two steps of CHAP from the initiator's side. */
export interface Chap {
  /** Value of CHAP_A. */
  readonly offer: string
  /** The same, for people. */
  readonly names: string
  /** Whether the target has to prove itself. */
  readonly mutual: boolean
  /** The algorithm that the target chose, once it has. */
  chosen(): ChapAlgorithm | undefined
  /** Answers CHAP_A, CHAP_I and CHAP_C. Throws DENIED, PROTOCOL. */
  respond(keys: ReadonlyMap<string, string>): [key: string, value: string][]
  /** Checks CHAP_N and CHAP_R of the target. Throws DENIED, PROTOCOL. */
  verify(keys: ReadonlyMap<string, string>): void
}

/** CHAP with `options`. Throws a TypeError for options that cannot be right. The secrets stay in closures. */
export function createChap(options: ChapOptions, random: (length: number) => Uint8Array): Chap {
  const { user, secret, target } = options
  const algorithms = [...options.algorithms]
  checkChap(options)
  let chosen: ChapAlgorithm | undefined
  let expected: Buffer | undefined

  function respond(keys: ReadonlyMap<string, string>): [string, string][] {
    const { algorithm, id, challenge } = readChallenge(keys, algorithms)
    chosen = algorithm
    const pairs: [string, string][] = [
      ['CHAP_N', user],
      ['CHAP_R', encodeBinary(chapResponse(algorithm, id, secret, challenge))],
    ]
    if (target === undefined) return pairs
    const ownId = random(1)[0]!
    const own = random(digestLength[algorithm])
    if (challenge.equals(own)) throw new BlockError('DENIED', 'the target reflects our own CHAP challenge')
    expected = chapResponse(algorithm, ownId, target.secret, own)
    return [...pairs, ['CHAP_I', String(ownId)], ['CHAP_C', encodeBinary(own)]]
  }

  function verify(keys: ReadonlyMap<string, string>): void {
    const name = required(keys, 'CHAP_N')
    const response = parseBinary(required(keys, 'CHAP_R'))
    if (response === undefined) throw new BlockError('PROTOCOL', 'CHAP_R of the target is not a binary value')
    if (expected === undefined || response.length !== expected.length || !timingSafeEqual(response, expected)) {
      throw new BlockError('DENIED', 'the target does not know the secret of mutual CHAP (chap.target.secret)')
    }
    if (target?.user !== undefined && target.user !== name) {
      throw new BlockError('DENIED', `the target gives its CHAP name as ${shown(name)}, not as chap.target.user says`)
    }
  }

  const offer = algorithms.map((name) => chapNumbers[name]).join(',')
  return { offer, names: algorithms.join(', '), mutual: target !== undefined, chosen: () => chosen, respond, verify }
}

function checkChap({ user, secret, target, algorithms }: ChapOptions): void {
  if (typeof user !== 'string' || user === '') throw new TypeError('chap.user is empty; give the CHAP name')
  if (typeof secret !== 'string' || secret === '') throw new TypeError('chap.secret is empty; give the CHAP secret')
  if (algorithms.length === 0) throw new TypeError('chap.algorithms is empty; name at least one, such as sha256')
  for (const name of algorithms) {
    if (!Object.hasOwn(chapNumbers, name)) {
      throw new TypeError(`chap.algorithms: ${shown(String(name))} is none of ${Object.keys(chapNumbers).join(', ')}`)
    }
  }
  if (target === undefined) return
  if (typeof target.secret !== 'string' || target.secret === '') {
    throw new TypeError('chap.target.secret is empty; give the secret that the target has to know')
  }
  if (target.secret === secret) {
    throw new TypeError('chap.target.secret equals chap.secret; RFC 7143 §12.1.3 wants one secret for each direction')
  }
}

function readChallenge(keys: ReadonlyMap<string, string>, offered: readonly ChapAlgorithm[]): Challenge {
  const chosen = required(keys, 'CHAP_A')
  if (chosen === 'Reject') {
    throw new BlockError('DENIED', `the target takes none of the offered CHAP algorithms (${offered.join(', ')})`)
  }
  const number = parseNumber(chosen)
  const algorithm = offered.find((name) => chapNumbers[name] === number)
  if (algorithm === undefined) {
    throw new BlockError('PROTOCOL', `the target chose CHAP algorithm ${shown(chosen)}, which was not offered`)
  }
  const id = parseNumber(required(keys, 'CHAP_I'))
  if (id === undefined || id > 255) throw new BlockError('PROTOCOL', 'CHAP_I of the target is not 0 to 255')
  const challenge = parseBinary(required(keys, 'CHAP_C'))
  if (challenge === undefined || challenge.length > maxChallenge) {
    throw new BlockError('PROTOCOL', `CHAP_C of the target is not a binary value of 1 to ${maxChallenge} bytes`)
  }
  return { algorithm, id, challenge }
}

function required(keys: ReadonlyMap<string, string>, key: string): string {
  const value = keys.get(key)
  if (value === undefined) throw new BlockError('PROTOCOL', `the target left out ${key}`)
  return value
}
