import type { GroupName } from './groups.ts'
import { GROUP_NAMES } from './groups.ts'
import type { HashName } from './hashes.ts'
import { HASH_NAMES } from './hashes.ts'
import { type Secret, secretOf } from './secret.ts'

/** Who has to authenticate, by DH-HMAC-CHAP (NVMe Base 2.1 §8.3.5.5); secrets in the form `DHHC-1:HH:BASE64:`. */
export interface NvmeAuthOptions {
  /** Secrets of hosts, by their NQNs; others cannot authenticate. */
  hosts: Readonly<Record<string, string>>
  /** Secret of the controllers, for hosts that ask for their proof. @defaultValue none: such hosts are refused */
  controllerSecret?: string
  /** Hashes that are taken, the most wanted first. @defaultValue sha256, sha384, sha512 */
  hashes?: readonly HashName[]
  /** Groups that are taken, the most wanted first; `null` is no exchange. @defaultValue ffdhe2048 to ffdhe8192, null */
  groups?: readonly GroupName[]
  /** Whether every I/O queue asks as the admin queue does. @defaultValue false */
  onIoQueues?: boolean
}

/** {@link NvmeAuthOptions}, checked. */
export interface AuthPlan {
  readonly hosts: ReadonlyMap<string, Secret>
  readonly controller: Secret | undefined
  readonly hashes: readonly HashName[]
  readonly groups: readonly GroupName[]
  readonly onIoQueues: boolean
}

/** Checks options of authentication; throws a TypeError that names the field, never a secret. */
export function authPlan(options: NvmeAuthOptions): AuthPlan {
  const { hosts, controllerSecret, hashes = HASH_NAMES, groups = GROUP_NAMES, onIoQueues = false } = options
  if (typeof hosts !== 'object' || hosts === null || Object.keys(hosts).length === 0) {
    throw new TypeError('options.auth.hosts must have the secret of at least one host by its NQN')
  }
  if (typeof onIoQueues !== 'boolean') throw new TypeError('options.auth.onIoQueues must be true or false')
  return {
    hosts: new Map(
      Object.entries(hosts).map(([nqn, text]) => [nqn, secretOf(`auth.hosts[${JSON.stringify(nqn)}]`, text)]),
    ),
    controller: controllerSecret === undefined ? undefined : secretOf('auth.controllerSecret', controllerSecret),
    hashes: listOf('hashes', hashes, HASH_NAMES),
    groups: listOf('groups', groups, GROUP_NAMES),
    onIoQueues,
  }
}

function listOf<Name extends string>(field: string, names: readonly Name[], known: readonly Name[]): readonly Name[] {
  if (Array.isArray(names) && names.length > 0 && names.every((name) => known.includes(name))) return [...names]
  throw new TypeError(`options.auth.${field} must be a list of ${known.join(', ')}`)
}
