import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import type { IscsiChap } from './login/chap.ts'

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
  /** Whether its portals are preferred. @defaultValue false */
  preferred?: boolean
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
  /** How long a transition between access states may take, as it is told, seconds; 0: it is not. @defaultValue 0 */
  transitionTime?: number
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
