import { type BlockList, isIP } from 'node:net'
import { hostname } from 'node:os'
import { flagOption, integerOption, networksOf, textOption, wrongOption } from '@blockbraid/wire'
import type { ChapOptions } from '../../login/chap.ts'
import type { OperationalOptions } from '../../login/keys.ts'
import type { Portal } from '../place/portal.ts'
import { parsePortal } from '../place/portal.ts'
import { iscsiName } from './check.ts'
import type { ChapCredentials } from './credentials.ts'
import { chapOf } from './credentials.ts'
import { initiatorOf, machineInitiator } from './machine.ts'

/** Whether a digest is used: always, never, or where the target agrees. */
export type DigestOption = boolean | 'prefer'

/** Options of {@link iscsi}. Times are milliseconds, lengths bytes. */
export interface IscsiOptions {
  /** `host`, `host:port` or `[v6]:port` each; the default port is 3260. */
  portals: readonly string[]
  /** iSCSI name of the one target to use. Left out: every target that the portals tell of. */
  target?: string
  /** Numbers of the logical units to use. Left out: all. */
  luns?: readonly number[]
  /** Name of this target in messages. @defaultValue the first portal */
  name?: string
  /**
   * iSCSI name of this host, of which every process there needs its own.
   * @defaultValue `iqn.2026-11.io.blockbraid:` and a hash of its machine id, or its name where it has none
   */
  initiator?: string
  /** Credentials of normal sessions, and of discovery where `discoveryChap` is left out. */
  chap?: ChapCredentials
  /** Credentials of discovery sessions; false: none. */
  discoveryChap?: ChapCredentials | false
  /** CRC32C over headers. @defaultValue false */
  headerDigest?: DigestOption
  /** CRC32C over data. @defaultValue false */
  dataDigest?: DigestOption
  /** Send the first data of a write with its command. @defaultValue true */
  immediateData?: boolean
  /** Wait for the target before any data that is not immediate. @defaultValue false */
  initialR2T?: boolean
  /** Data sent unasked, per write, at most. @defaultValue 262144 */
  firstBurstLength?: number
  /** Data in one sequence, at most. @defaultValue 1048576 */
  maxBurstLength?: number
  /** Data in one PDU that we take, at most. @defaultValue 262144 */
  maxRecvDataSegmentLength?: number
  /** Requests for data that the target may have open per write. @defaultValue 1 */
  maxOutstandingR2T?: number
  /** Commands in flight per path. @defaultValue 128 */
  queueDepth?: number
  /** Largest single read or write, where the volume takes that much. @defaultValue 1048576 */
  maxTransfer?: number
  /** Quiet time before a ping; 0: none. @defaultValue 5000 */
  keepAliveInterval?: number
  /** Time for a sign of life after a ping. @defaultValue 5000 */
  keepAliveTimeout?: number
  /** Time for connecting and logging in. @defaultValue 10000 */
  loginTimeout?: number
  /** Time for the answer to a command that is no I/O, and to task management. @defaultValue 5000 */
  taskTimeout?: number
  /** How often an idle path asks for news. @defaultValue 5000 */
  pollInterval?: number
  /** Address of this host to connect from. */
  localAddress?: string
  /** A session for each logical unit, not one for all of a portal. @defaultValue false */
  sessionPerLun?: boolean
  /**
   * Use portals that the target tells of beside those listed: all, none, or those whose addresses are inside of these
   * networks, such as `['192.0.2.0/24']`. @defaultValue true
   */
  toldPortals?: boolean | readonly string[]
  /** Portals that are used beside those listed, at most. @defaultValue 64 */
  maxToldPortals?: number
  /**
   * `stable`: sessions left by an earlier process of the same initiator name are taken over, as fences need it.
   * `random`: for a process beside another one of that name. @defaultValue 'stable'
   */
  isid?: 'stable' | 'random'
  /**
   * How a write moves on from a path whose portal is gone for good. `session`: only after a login has taken the place
   * of the lost session, through that portal or another of its group. `lun-reset`: also after a reset of the logical
   * unit through any other path, which ends the commands of other hosts, and does not reach what is still in the
   * network. @defaultValue 'session'
   */
  fence?: 'session' | 'lun-reset'
  /**
   * Key of this host's persistent reservations, up to 16 hex digits after `0x`: a path that comes later is registered
   * with it, as long as another one is. Left out: no path is registered by itself.
   */
  registerKey?: string | number
}

/** {@link IscsiOptions} with every default filled in. */
export interface Resolved extends OperationalOptions {
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  readonly luns: readonly number[] | undefined
  readonly name: string
  readonly initiator: string
  readonly chap: ChapOptions | undefined
  readonly discoveryChap: ChapOptions | undefined
  readonly queueDepth: number
  readonly maxTransfer: number
  readonly keepAliveInterval: number
  readonly keepAliveTimeout: number
  readonly loginTimeout: number
  readonly taskTimeout: number
  readonly pollInterval: number
  readonly localAddress: string | undefined
  readonly sessionPerLun: boolean
  readonly toldPortals: boolean | BlockList
  readonly maxToldPortals: number
  readonly isid: 'stable' | 'random'
  readonly fence: 'session' | 'lun-reset'
  /** `0x` and 16 hex digits. */
  readonly registerKey: string | undefined
}

const DAY = 86_400_000

const numbers = {
  firstBurstLength: [512, 0xff_ffff, 262_144],
  maxBurstLength: [512, 0xff_ffff, 1_048_576],
  maxRecvDataSegmentLength: [512, 0xff_ffff, 262_144],
  maxOutstandingR2T: [1, 65_535, 1],
  queueDepth: [1, 4096, 128],
  maxTransfer: [4096, 0x1000_0000, 1_048_576],
  keepAliveInterval: [0, DAY, 5000],
  keepAliveTimeout: [1, DAY, 5000],
  loginTimeout: [1, DAY, 10_000],
  taskTimeout: [1, DAY, 5000],
  pollInterval: [10, DAY, 5000],
  maxToldPortals: [0, 10_000, 64],
} as const satisfies Record<string, readonly [least: number, most: number, otherwise: number]>

const flags = { immediateData: true, initialR2T: false, sessionPerLun: false } as const

const known = new Set<string>([
  ...Object.keys(numbers),
  ...Object.keys(flags),
  ...['portals', 'target', 'luns', 'name', 'initiator', 'chap', 'discoveryChap', 'toldPortals'],
  ...['headerDigest', 'dataDigest', 'localAddress', 'isid', 'fence', 'registerKey'],
])

/** Checks options and fills the defaults in; throws a TypeError that names the field, never a secret. */
export function resolveOptions(options: IscsiOptions): Resolved {
  if (typeof options !== 'object' || options === null) throw new TypeError('options must be an object with portals')
  for (const field of Object.keys(options)) {
    if (!known.has(field)) throw new TypeError(`options.${field} is unknown`)
  }
  const portals = portalsOf(options.portals)
  const chap = options.chap === undefined ? undefined : chapOf('chap', options.chap)
  const { discoveryChap, isid = 'stable', fence = 'session', localAddress } = options
  if (isid !== 'stable' && isid !== 'random') throw wrongOption('isid', isid, 'stable or random')
  if (fence !== 'session' && fence !== 'lun-reset') throw wrongOption('fence', fence, 'session or lun-reset')
  if (localAddress !== undefined && (typeof localAddress !== 'string' || isIP(localAddress) === 0)) {
    throw wrongOption('localAddress', localAddress, 'an IP address of this host')
  }
  const resolved = {
    portals,
    target: options.target === undefined ? undefined : iscsiName('target', options.target),
    luns: options.luns === undefined ? undefined : lunsOf(options.luns),
    name: options.name === undefined ? (portals[0] as Portal).address : textOption('name', options.name),
    initiator: iscsiName('initiator', options.initiator ?? machineInitiator() ?? initiatorOf(hostname())),
    chap,
    discoveryChap:
      discoveryChap === undefined ? chap : discoveryChap === false ? undefined : chapOf('discoveryChap', discoveryChap),
    headerDigest: digest('headerDigest', options.headerDigest),
    dataDigest: digest('dataDigest', options.dataDigest),
    toldPortals: networksOf(options.toldPortals ?? true),
    localAddress,
    isid,
    fence,
    registerKey: options.registerKey === undefined ? undefined : reservationKey(options.registerKey),
    ...(Object.fromEntries(
      Object.entries(numbers).map(([field, [least, most, otherwise]]) => [
        field,
        integerOption(field, options[field as keyof typeof numbers] ?? otherwise, least, most),
      ]),
    ) as Record<keyof typeof numbers, number>),
    ...(Object.fromEntries(
      Object.entries(flags).map(([field, otherwise]) => [
        field,
        flagOption(field, options[field as keyof typeof flags] ?? otherwise),
      ]),
    ) as Record<keyof typeof flags, boolean>),
  }
  // Some targets, tgt for one, send wrong bytes where segments end amid a word.
  if (resolved.maxRecvDataSegmentLength % 4 !== 0) {
    throw wrongOption('maxRecvDataSegmentLength', resolved.maxRecvDataSegmentLength, 'a multiple of 4')
  }
  if (resolved.firstBurstLength > resolved.maxBurstLength) {
    throw wrongOption(
      'firstBurstLength',
      resolved.firstBurstLength,
      `at most maxBurstLength, ${resolved.maxBurstLength}`,
    )
  }
  return resolved
}

function portalsOf(value: unknown): readonly Portal[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw wrongOption('portals', value, 'a list of at least one host:port, such as ["192.0.2.1:3260"]')
  }
  const portals = new Map<string, Portal>()
  for (const [index, item] of value.entries()) {
    const portal = typeof item === 'string' ? parsePortal(item) : undefined
    // Before an @ there may be a secret, as in an address of the command line.
    const shown = typeof item === 'string' ? item.slice(item.lastIndexOf('@') + 1) : item
    if (portal === undefined) throw wrongOption(`portals[${index}]`, shown, 'host, host:port or [v6]:port')
    portals.set(portal.address, portal)
  }
  return [...portals.values()]
}

function lunsOf(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) throw wrongOption('luns', value, 'a list of at least one number')
  return value.map((lun, index) => integerOption(`luns[${index}]`, lun, 0, 0xff_ffff))
}

// YAML takes 0xabc for a number.
function reservationKey(value: unknown): string {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? `0x${value.toString(16)}` : value
  if (typeof text === 'string' && /^0x[0-9a-f]{1,16}$/i.test(text) && !/^0x0+$/.test(text)) {
    return `0x${text.slice(2).toLowerCase().padStart(16, '0')}`
  }
  throw wrongOption('registerKey', value, 'a text such as "0xabcd": 0x and up to 16 hex digits, not all of them 0')
}

function digest(field: string, value: DigestOption = false): readonly ('None' | 'CRC32C')[] {
  if (value === true) return ['CRC32C']
  if (value === false) return ['None']
  if (value === 'prefer') return ['CRC32C', 'None']
  throw wrongOption(field, value, 'true, false or prefer')
}
