import type { DhchapGroup, DhchapHash, GroupFacts, HashFacts } from './algorithms.ts'
import { GROUPS, HASHES } from './algorithms.ts'
import { type DhchapSecret, parseDhchapSecret } from './secret.ts'

/** Secrets for DH-HMAC-CHAP (NVMe Base 2.1 §8.3.5.5), each in the form `DHHC-1:HH:BASE64:`. */
export interface DhchapCredentials {
  /** The secret of this host. */
  secret: string
  /** The secret that the controller has to know; it differs from the host's. Left out: the controller proves nothing. */
  controllerSecret?: string
  /** Hashes that may be used. @defaultValue all: sha256, sha384, sha512 */
  hashes?: readonly DhchapHash[]
  /** Groups that may be used; `null` is no exchange. @defaultValue all, null last */
  groups?: readonly DhchapGroup[]
}

/** {@link DhchapCredentials}, checked. */
export interface Dhchap {
  readonly secret: DhchapSecret
  readonly controllerSecret: DhchapSecret | undefined
  /** What is offered, the most wanted first. */
  readonly hashes: readonly HashFacts[]
  readonly groups: readonly GroupFacts[]
}

/** Checks credentials and fills the defaults in; throws a TypeError that names the field, never a secret. */
export function dhchapOf(field: string, value: DhchapCredentials): Dhchap {
  if (typeof value !== 'object' || value === null) throw new TypeError(`options.${field} must have a secret`)
  for (const name of Object.keys(value)) {
    if (!['secret', 'controllerSecret', 'hashes', 'groups'].includes(name)) {
      throw new TypeError(`options.${field}.${name} is unknown`)
    }
  }
  const secret = parseDhchapSecret(`${field}.secret`, value.secret)
  const { controllerSecret: theirs } = value
  const controllerSecret = theirs === undefined ? undefined : parseDhchapSecret(`${field}.controllerSecret`, theirs)
  // One secret for both would let each side answer with what it was answered.
  if (controllerSecret?.equals(secret)) {
    throw new TypeError(`options.${field}.controllerSecret must differ from options.${field}.secret`)
  }
  return {
    secret,
    controllerSecret,
    hashes: chosen(`${field}.hashes`, value.hashes, HASHES),
    groups: chosen(`${field}.groups`, value.groups, GROUPS),
  }
}

function chosen<One extends { readonly name: string }>(
  field: string,
  names: unknown,
  all: readonly One[],
): readonly One[] {
  if (names === undefined) return all
  const found = Array.isArray(names) ? names.map((name) => all.find((one) => one.name === name)) : []
  const right = found.filter((one) => one !== undefined)
  if (right.length > 0 && right.length === found.length && new Set(right).size === right.length) return right
  throw new TypeError(`options.${field} must be a list of ${all.map(({ name }) => name).join(', ')}, each once`)
}
