import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import { isVolumeId } from '@blockbraid/core'
import type { IscsiChap } from './login/chap.ts'
import type { TargetKeys } from './login/keys.ts'

/** One address of the array. */
export interface IscsiPortalOptions {
  /** @defaultValue '127.0.0.1' */
  host?: string
  /** @defaultValue 0: one that is free */
  port?: number
  /** iSCSI portal group tag and ALUA target port group. @defaultValue number of the portal, from 1 */
  group?: number
}

/** Gives the device of a session: one of its own, whose `close` ends what the session has left in it. */
export type OpenLun = (portal: number, initiator: string, signal: AbortSignal) => Promise<BlockDevice>

/** A volume at a LUN. */
export interface IscsiLunOptions {
  /** @defaultValue its place in the list, from 0 */
  lun?: number
  /** Its identity, told by VPD page 83h. */
  volume: VolumeId
  /** What serves it: one device for all, one for each portal, or one for each session. They stay the caller's. */
  device: BlockDevice | readonly BlockDevice[] | OpenLun
  /** Numbers of the portals that have it. @defaultValue all */
  portals?: readonly number[]
  /** @defaultValue 'optimized' */
  access?: Access
  /** Unit serial number. @defaultValue made of the identity */
  serial?: string
  /** Up to 8 characters. @defaultValue 'BLKBRAID' */
  vendor?: string
  /** Up to 16 characters. @defaultValue 'SIMULATED ARRAY' */
  product?: string
  /** Up to 4 characters. @defaultValue '1' */
  revision?: string
  /** Designation descriptors for VPD page 83h, instead of the one that `volume` gives. */
  designators?: Uint8Array
  /** Whether UNMAP leaves zeroes (LBPRZ): then it is executed as WriteZeroes, else as Trim. @defaultValue true */
  unmapZeroes?: boolean
}

/** Options of {@link createIscsiArray}. */
export interface IscsiArrayOptions {
  /** Name of the target, such as `iqn.2026-11.io.blockbraid:array0`. */
  name: string
  /** TargetAlias. @defaultValue none */
  alias?: string
  /** @defaultValue one, at a free port of 127.0.0.1 */
  portals?: readonly IscsiPortalOptions[]
  /** @defaultValue none */
  luns?: readonly IscsiLunOptions[]
  /** Asked of every initiator. @defaultValue none */
  chap?: IscsiChap
  /** Whether discovery sessions are asked, too. @defaultValue true */
  discoveryChap?: boolean
  /** What HeaderDigest may be. @defaultValue both */
  headerDigest?: readonly ('None' | 'CRC32C')[]
  /** What DataDigest may be. @defaultValue both */
  dataDigest?: readonly ('None' | 'CRC32C')[]
  /** @defaultValue false */
  initialR2T?: boolean
  /** @defaultValue true */
  immediateData?: boolean
  /** Bytes. @defaultValue 262144 */
  firstBurstLength?: number
  /** Bytes. @defaultValue 1048576 */
  maxBurstLength?: number
  /** Bytes. @defaultValue 262144 */
  maxRecvDataSegmentLength?: number
  /** @defaultValue 8 */
  maxOutstandingR2T?: number
  /** Commands that a session may have unanswered. @defaultValue 128 */
  window?: number
  /** Whether the last data of a read carries its status. @defaultValue true */
  collapseStatus?: boolean
  /** Whether a write that is refused is answered before its unsolicited data has come. @defaultValue false */
  earlyStatus?: boolean
  /** Sense data in descriptor format. @defaultValue false */
  descriptorSense?: boolean
  /** ALUA: TPGS field of INQUIRY. @defaultValue 'both' */
  alua?: 'none' | 'implicit' | 'explicit' | 'both'
  /** Whether the first command of a nexus meets a unit attention (power on, then nexus loss). @defaultValue true */
  loginAttention?: boolean
  /**
   * Whether a login ends the older session of the same ISID. `lazy`: without waiting for what the device executes by
   * then, as tgt does; only an ordered command waits for that. False only to prove that a test needs it.
   * @defaultValue true
   */
  reinstate?: boolean | 'lazy'
  /** Bytes of text in one Login Response; more is continued. @defaultValue 8192 */
  loginSegment?: number
  /** Milliseconds until a login must be over. @defaultValue 15000 */
  loginTimeout?: number
  /** Keep {@link IscsiArray.log}. @defaultValue false */
  log?: boolean
}

/** @internal */
export interface ArraySettings {
  readonly name: string
  readonly alias: string
  readonly portals: readonly Required<IscsiPortalOptions>[]
  readonly chap: IscsiChap | undefined
  readonly discoveryChap: boolean
  readonly keys: TargetKeys
  readonly window: number
  readonly collapseStatus: boolean
  readonly earlyStatus: boolean
  readonly descriptorSense: boolean
  readonly tpgs: number
  readonly loginAttention: boolean
  readonly reinstate: boolean | 'lazy'
  readonly loginSegment: number
  readonly loginTimeout: number
  readonly log: boolean
}

const BOTH = ['None', 'CRC32C'] as const
const TPGS = { none: 0, implicit: 1, explicit: 2, both: 3 } as const

/** The error for an argument: what was given, and what would be right. */
export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`${field} is ${shown}; it must be ${right}`)
}

function integer(field: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw wrong(field, value, `a whole number from ${least} to ${most}`)
}

/** Fills in defaults; throws a TypeError that names a wrong field. */
export function resolveOptions(options: IscsiArrayOptions): ArraySettings {
  const { name, alua = 'both', portals = [{}] } = options
  if (typeof name !== 'string' || !/^(iqn|eui|naa)\.[\x21-\x7e]{1,219}$/.test(name)) {
    throw wrong('name', name, 'an iSCSI name such as iqn.2026-11.io.blockbraid:array0')
  }
  if (TPGS[alua] === undefined) throw wrong('alua', alua, Object.keys(TPGS).join(', '))
  if (portals.length === 0) throw wrong('portals', '[]', 'a list of at least one')
  const bytes = (field: 'firstBurstLength' | 'maxBurstLength' | 'maxRecvDataSegmentLength', fallback: number): number =>
    integer(field, options[field] ?? fallback, 512, 16_777_215)
  return {
    name,
    alias: options.alias ?? '',
    portals: portals.map(({ host = '127.0.0.1', port = 0, group }, number) => ({
      host,
      port: integer(`portals[${number}].port`, port, 0, 65_535),
      group: integer(`portals[${number}].group`, group ?? number + 1, 1, 65_535),
    })),
    chap: options.chap,
    discoveryChap: options.discoveryChap ?? true,
    keys: {
      headerDigest: options.headerDigest ?? BOTH,
      dataDigest: options.dataDigest ?? BOTH,
      initialR2T: options.initialR2T ?? false,
      immediateData: options.immediateData ?? true,
      firstBurstLength: bytes('firstBurstLength', 262_144),
      maxBurstLength: bytes('maxBurstLength', 1_048_576),
      maxRecvDataSegmentLength: bytes('maxRecvDataSegmentLength', 262_144),
      maxOutstandingR2T: integer('maxOutstandingR2T', options.maxOutstandingR2T ?? 8, 1, 65_535),
    },
    window: integer('window', options.window ?? 128, 1, 65_536),
    collapseStatus: options.collapseStatus ?? true,
    earlyStatus: options.earlyStatus ?? false,
    descriptorSense: options.descriptorSense ?? false,
    tpgs: TPGS[alua],
    loginAttention: options.loginAttention ?? true,
    reinstate: options.reinstate ?? true,
    loginSegment: integer('loginSegment', options.loginSegment ?? 8192, 1, 8192),
    loginTimeout: integer('loginTimeout', options.loginTimeout ?? 15_000, 1, 3_600_000),
    log: options.log ?? false,
  }
}

/** Checks a LUN; `number` is its place in the list. */
export function resolveLun(
  options: IscsiLunOptions,
  number: number,
  portals: number,
): Required<Pick<IscsiLunOptions, 'lun' | 'portals'>> {
  if (!isVolumeId(options.volume))
    throw wrong(`luns[${number}].volume`, options.volume, 'an identity such as naa.6001405…')
  const where = options.portals ?? Array.from({ length: portals }, (_, portal) => portal)
  for (const portal of where) integer(`luns[${number}].portals`, portal, 0, portals - 1)
  return { lun: integer(`luns[${number}].lun`, options.lun ?? number, 0, 0xff_ffff), portals: where }
}
