import type { BlockList } from 'node:net'
import { isIP } from 'node:net'
import { flagOption, integerOption, networksOf, textOption, wrongOption } from '@blockbraid/wire'
import type { Dhchap, DhchapCredentials } from '../auth/credentials.ts'
import { dhchapOf } from '../auth/credentials.ts'
import type { Portal } from '../place/portal.ts'
import { DISCOVERY_PORT, NVME_PORT, parsePortal } from '../place/portal.ts'
import type { TlsKeys, TlsOptions } from '../tls/psk.ts'
import { tlsKeysOf } from '../tls/psk.ts'
import { DISCOVERY_NQN, qualifiedName } from './check.ts'
import type { HostIdentity } from './host-identity.ts'
import { hostIdentity } from './host-identity.ts'

/** Options of {@link nvmeof}. Times are milliseconds, lengths bytes. */
export interface NvmeofOptions {
  /**
   * `host`, `host:port` or `[v6]:port` each; the default port is 4420 where `subsystem` is given. Without it each one is
   * asked as a discovery controller, and the default port is 8009.
   */
  portals: readonly string[]
  /** NVMe Qualified Name of the one subsystem to use. Left out: every one that the portals tell of. */
  subsystem?: string
  /** Namespace ids to use. Left out: all. */
  namespaces?: readonly number[]
  /** Name of this target in messages. @defaultValue the first portal */
  name?: string
  /**
   * NVMe Qualified Name of this host.
   * @defaultValue what `/etc/nvme/hostnqn` says, else a name made of the machine id
   */
  hostNqn?: string
  /**
   * Host identifier, a UUID that belongs to `hostNqn`: a subsystem refuses one that it knows under another name.
   * @defaultValue what `/etc/nvme/hostid` says, else the UUID in the name, else one made of the name
   */
  hostId?: string
  /** I/O queues per controller, each a connection of its own. @defaultValue 1 */
  queues?: number
  /** Commands in flight per path, where the controller takes as many. @defaultValue 128 */
  queueDepth?: number
  /** Largest single read or write, where the controller takes that much. @defaultValue 1048576 */
  maxTransfer?: number
  /** CRC32C over headers. @defaultValue false */
  headerDigest?: boolean
  /** CRC32C over data. @defaultValue false */
  dataDigest?: boolean
  /**
   * Keep Alive Timeout that is asked for: a controller that hears nothing for that long ends what was sent to it, and
   * writes of a lost path may have to wait for it. The controller may raise it.
   * @defaultValue 5000, or less, down to 3000, where writes had to wait for more than 10.5 s otherwise
   */
  keepAliveTimeout?: number
  /**
   * How long a controller that was given up may still work on commands, where it does not report that itself (CQT): a
   * fence that rests on it is an assumption. @defaultValue 10000
   */
  quiesceTime?: number
  /** Time for connecting and for bringing a controller up. @defaultValue 10000 */
  connectTimeout?: number
  /** Time for the answer to a command that is no I/O. @defaultValue 5000 */
  commandTimeout?: number
  /** How often it is looked at which volume answers. @defaultValue 5000 */
  pollInterval?: number
  /** Address of this host to connect from. */
  localAddress?: string
  /**
   * Use portals that discovery tells of beside those listed: all, none, or those whose addresses are inside of these
   * networks, such as `['192.0.2.0/24']`. @defaultValue true
   */
  toldPortals?: boolean | readonly string[]
  /** Portals that are used beside those listed, at most. @defaultValue 64 */
  maxToldPortals?: number
  /** Secrets of DH-HMAC-CHAP, for controllers that ask for it. Left out: such controllers are not used. */
  dhchap?: DhchapCredentials
  /** TLS 1.3 by a pre-shared key for every connection, those to discovery controllers too. Left out: in clear. */
  tls?: TlsOptions
}

/** {@link NvmeofOptions} with every default filled in. */
export interface Resolved extends HostIdentity {
  readonly portals: readonly Portal[]
  readonly subsystem: string | undefined
  readonly namespaces: readonly number[] | undefined
  readonly name: string
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly queues: number
  readonly queueDepth: number
  readonly maxTransfer: number
  readonly keepAliveTimeout: number
  /** Undefined where `keepAliveTimeout` was given. */
  readonly keepAliveChoice: { readonly least: number; readonly quiesceTime: number } | undefined
  readonly quiesceTime: number
  readonly connectTimeout: number
  readonly commandTimeout: number
  readonly pollInterval: number
  readonly localAddress: string | undefined
  readonly toldPortals: boolean | BlockList
  readonly maxToldPortals: number
  readonly dhchap: Dhchap | undefined
  readonly tls: TlsKeys | undefined
}

const DAY = 86_400_000
// With less, a host that is held up for two seconds would be missed, milliseconds.
const LEAST_KEEP_ALIVE = 3000

const numbers = {
  queues: [1, 128, 1],
  queueDepth: [1, 4096, 128],
  maxTransfer: [4096, 0x1000_0000, 1_048_576],
  keepAliveTimeout: [100, DAY, 5000],
  quiesceTime: [0, DAY, 10_000],
  connectTimeout: [1, DAY, 10_000],
  commandTimeout: [1, DAY, 5000],
  pollInterval: [10, DAY, 5000],
  maxToldPortals: [0, 10_000, 64],
} as const satisfies Record<string, readonly [least: number, most: number, otherwise: number]>

const known = new Set<string>([
  ...Object.keys(numbers),
  ...['portals', 'subsystem', 'namespaces', 'name', 'hostNqn', 'hostId', 'headerDigest', 'dataDigest'],
  ...['localAddress', 'toldPortals', 'dhchap', 'tls'],
])

/** Checks options and fills the defaults in; throws a TypeError that names the field, never a secret. */
export function resolveOptions(options: NvmeofOptions): Resolved {
  if (typeof options !== 'object' || options === null) throw new TypeError('options must be an object with portals')
  for (const field of Object.keys(options)) {
    if (!known.has(field)) throw new TypeError(`options.${field} is unknown`)
  }
  const { localAddress } = options
  if (localAddress !== undefined && (typeof localAddress !== 'string' || isIP(localAddress) === 0)) {
    throw wrongOption('localAddress', localAddress, 'an IP address of this host')
  }
  const subsystem = options.subsystem === undefined ? undefined : qualifiedName('subsystem', options.subsystem)
  if (subsystem === DISCOVERY_NQN) {
    throw wrongOption(
      'subsystem',
      subsystem,
      'the name of one with namespaces; leave it out to have all that discovery tells of',
    )
  }
  const host = hostIdentity(options.hostNqn, options.hostId)
  const tls = options.tls === undefined ? undefined : tlsKeysOf('tls', options.tls)
  // Names that are too long for it are told of now.
  tls?.({ ...host, subNqn: subsystem ?? DISCOVERY_NQN })
  const portals = portalsOf(options.portals, subsystem === undefined ? DISCOVERY_PORT : NVME_PORT)
  const counts = numbersOf(options)
  const { quiesceTime } = counts
  return {
    portals,
    subsystem,
    namespaces: options.namespaces === undefined ? undefined : namespacesOf(options.namespaces),
    name: options.name === undefined ? (portals[0] as Portal).address : textOption('name', options.name),
    ...host,
    headerDigest: flagOption('headerDigest', options.headerDigest ?? false),
    dataDigest: flagOption('dataDigest', options.dataDigest ?? false),
    localAddress,
    toldPortals: networksOf(options.toldPortals ?? true),
    dhchap: options.dhchap === undefined ? undefined : dhchapOf('dhchap', options.dhchap),
    tls,
    ...counts,
    keepAliveChoice: options.keepAliveTimeout === undefined ? { least: LEAST_KEEP_ALIVE, quiesceTime } : undefined,
  }
}

function numbersOf(options: NvmeofOptions): Record<keyof typeof numbers, number> {
  const values = Object.entries(numbers).map(([field, [least, most, otherwise]]) => [
    field,
    integerOption(field, options[field as keyof typeof numbers] ?? otherwise, least, most),
  ])
  return Object.fromEntries(values) as Record<keyof typeof numbers, number>
}

function portalsOf(value: unknown, port: number): readonly Portal[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw wrongOption('portals', value, 'a list of at least one host:port, such as ["192.0.2.1:4420"]')
  }
  const portals = new Map<string, Portal>()
  for (const [index, item] of value.entries()) {
    const portal = typeof item === 'string' ? parsePortal(item, port) : undefined
    // Before an @ there may be a secret, as in an address of the command line.
    const shown = typeof item === 'string' ? item.slice(item.lastIndexOf('@') + 1) : item
    if (portal === undefined) throw wrongOption(`portals[${index}]`, shown, 'host, host:port or [v6]:port')
    portals.set(portal.address, portal)
  }
  return [...portals.values()]
}

function namespacesOf(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw wrongOption('namespaces', value, 'a list of at least one number')
  return value.map((nsid, index) => integerOption(`namespaces[${index}]`, nsid, 1, 0xffff_fffe))
}
