import type { Access, BlockDevice, VolumeId } from '@blockbraid/core'
import type { NvmeAuthOptions } from '../auth/options.ts'
import type { NvmeTlsOptions } from '../tls/keys.ts'

/** One address of the array: a port of its subsystem. */
export interface NvmePortOptions {
  /** @defaultValue '127.0.0.1' */
  host?: string
  /** @defaultValue 0: one that is free */
  port?: number
  /** What its controllers are for; `discovery`: for the discovery NQN alone, `subsystem`: for all others. @defaultValue 'both' */
  serves?: 'both' | 'subsystem' | 'discovery'
}

/** Gives the device of a controller: one of its own, whose `close` ends what the controller has left in it. */
export type OpenNamespace = (port: number, hostNqn: string, signal: AbortSignal) => Promise<BlockDevice>

/** What a namespace says that it is, by Identify with CNS 00h and 03h. */
export interface NvmeNamespaceIds {
  /** NGUID, 32 hex digits. @defaultValue none */
  nguid?: string
  /** EUI-64, 16 hex digits. @defaultValue none */
  eui64?: string
  /** UUID. @defaultValue none */
  uuid?: string
}

/** A volume as a namespace. */
export interface NvmeNamespaceOptions {
  /** @defaultValue its place in the list, from 1 */
  nsid?: number
  /**
   * Its identity: `uuid.…` is told as UUID, `eui.…` as EUI-64 or NGUID, `naa.…` of 32 digits as NGUID; any other as a
   * UUID made of it.
   */
  volume: VolumeId
  /** What serves it: one device for all, one for each port, or one for each controller. They stay the caller's. */
  device: BlockDevice | readonly BlockDevice[] | OpenNamespace
  /** Numbers of the ports that have it. @defaultValue all */
  ports?: readonly number[]
  /** ANA state of its group, at the ports that have it. @defaultValue what it is: 'optimized' at first */
  access?: Access
  /** ANA group; namespaces of one group have one state. @defaultValue its `nsid` */
  anaGroup?: number
  /** Identifiers instead of the one that `volume` gives. */
  ids?: NvmeNamespaceIds
  /** NOIOB: reads and writes had better not cross a multiple of so many bytes. @defaultValue 0: none */
  optimalBoundary?: number
  /** Whether deallocated blocks read as zeroes (DLFEAT): then Deallocate is executed as WriteZeroes, else as Trim. @defaultValue true */
  deallocateZeroes?: boolean
}

/** Another discovery controller that this one tells of. */
export interface NvmeReferral {
  /** Address, no name. */
  host: string
  /** @defaultValue 8009 */
  port?: number
}

/** What ends what a controller has in its devices; false only to prove that a test of fencing can fail. */
export interface NvmeFences {
  /** CC.EN=0 and CC.SHN: RDY=0 is told, and SHST complete, when it has ended. @defaultValue true */
  disable?: boolean
  /** A cross-controller reset. @defaultValue true */
  crossReset?: boolean
  /** The end of its keep-alive timer. @defaultValue true */
  keepAlive?: boolean
}

/** Options of {@link createNvmeArray}. */
export interface NvmeArrayOptions {
  /** NQN of the subsystem, such as `nqn.2026-11.io.blockbraid:array0`. */
  name: string
  /** @defaultValue one, at a free port of 127.0.0.1 */
  ports?: readonly NvmePortOptions[]
  /** @defaultValue none */
  namespaces?: readonly NvmeNamespaceOptions[]
  /** Up to 20 characters. @defaultValue made of the name */
  serial?: string
  /** Up to 40 characters. @defaultValue 'blockbraid simulated array' */
  model?: string
  /** Up to 8 characters. @defaultValue '1' */
  firmware?: string
  /** Host NQNs that may connect to the subsystem. @defaultValue any */
  hosts?: readonly string[]
  /** Other discovery controllers. @defaultValue none */
  referrals?: readonly NvmeReferral[]
  /** Who has to authenticate; discovery controllers ask nobody. @defaultValue nobody */
  auth?: NvmeAuthOptions
  /** TLS for every connection. @defaultValue none */
  tls?: NvmeTlsOptions
  /** I/O queues that a controller gives. @defaultValue 16 */
  queues?: number
  /** Entries of a queue: MQES and one more. @defaultValue 128 */
  queueSize?: number
  /** Whether hosts may have headers with a digest. @defaultValue true */
  headerDigest?: boolean
  /** Whether hosts may have data with a digest. @defaultValue true */
  dataDigest?: boolean
  /** What data that is sent to the controller is aligned to (CPDA), bytes: a multiple of 4 up to 128. @defaultValue 4 */
  dataAlignment?: number
  /** MAXH2CDATA, bytes: a multiple of 4 from 4096. @defaultValue 131072 */
  maxH2CData?: number
  /** In-capsule data of I/O queues (from IOCCSZ), bytes: a multiple of 16; admin queues have 8192. @defaultValue 8192 */
  inCapsuleData?: number
  /** Bytes of one R2T, a multiple of 512. @defaultValue all that the command writes */
  r2tSize?: number
  /** R2Ts of a command at once, where the host takes them (MAXR2T). @defaultValue 1 */
  r2tsAtOnce?: number
  /** Bytes of one C2HData PDU, a multiple of 512. @defaultValue all that the command reads */
  c2hDataSize?: number
  /** Whether the last C2HData of a read carries its success, where SQ flow control is disabled. @defaultValue true */
  successFlag?: boolean
  /** Whether hosts may disable SQ flow control; where they may not, it stays on without a word. @defaultValue true */
  flowControlDisable?: boolean
  /** MDTS, bytes: 4096 times a power of two. @defaultValue 1048576 */
  maxTransfer?: number
  /** The least keep-alive timeout, ms: less is raised to it without a word in the answer. @defaultValue 0 */
  minKeepAlive?: number
  /** KAS, ms: a multiple of 100. @defaultValue 100 */
  keepAliveGranularity?: number
  /** Whether any command restarts the keep-alive timer (TBKAS). @defaultValue false */
  trafficKeepAlive?: boolean
  /** CQT, ms; 0: it does not say. @defaultValue 0 */
  quiesceTime?: number
  /** The longest transition between ANA states, as it is told (ANATT), seconds. @defaultValue 10 */
  transitionTime?: number
  /** Cross-controller resets at once (CCRL); 0: none can be had. @defaultValue 4 */
  crossResets?: number
  /** How the end of one is told: in the completion where it can be, or always by event and log page. @defaultValue 'immediate' */
  crossResetTold?: 'immediate' | 'event'
  /**
   * Whether a controller that has lost its admin connection lives on, and what it executes, until its keep-alive timer
   * ends it; false: it ends with the connection, as that of nvmet. Without keep-alive it always does. @defaultValue true
   */
  lingers?: boolean
  /** What ends what a controller has in its devices. */
  fences?: NvmeFences
  /** CAP.TO, ms: a multiple of 500. @defaultValue 5000 */
  readyTimeout?: number
  /** How long enabling takes, ms. @defaultValue 0 */
  enableTime?: number
  /** CRDT1 to CRDT3, ms: multiples of 100. @defaultValue [100, 500, 1000] */
  retryDelays?: readonly [number, number, number]
  /** Async Event Requests that may wait (AERL and one more). @defaultValue 4 */
  asyncEvents?: number
  /** Milliseconds until a connection must have its queue, and is to be closed after a TermReq. @defaultValue 15000 */
  connectTimeout?: number
  /** Keep {@link NvmeArray.log}. @defaultValue false */
  log?: boolean
}
