import type { Access, VolumeId } from '@blockbraid/core'
import type { IscsiFaults } from './faults/types.ts'
import type { IscsiLunOptions } from './options.ts'

/** One address of the array. */
export interface IscsiPortal {
  /** Its number, from 0. */
  readonly number: number
  /** Name or address it listens on. */
  readonly host: string
  /** TCP port it listens on. */
  readonly port: number
  /** `host:port`. */
  readonly address: string
  /** What SendTargets tells of it; to be set where a proxy stands before it. @defaultValue `address` */
  advertised: string
  /** Portal group tag and target port group. */
  readonly group: number
  /** TCP connections to it. */
  readonly connections: number
  /** Cuts every connection, by FIN where nothing is left unread. */
  cut(): void
  /** Ends every connection by RST, as a host does that has crashed. */
  reset(): void
  /** Cuts every connection, and refuses new ones until {@link up}. */
  down(): Promise<void>
  /** Listens again. */
  up(): Promise<void>
  /** Nothing comes in and nothing goes out; what would, waits and is delivered when it ends. */
  blackhole(on: boolean): void
}

/** A session at one moment. */
export interface IscsiSession {
  /** iSCSI name of the initiator. */
  readonly initiatorName: string
  /** 12 hex digits. */
  readonly isid: string
  /** Session number that the array has given (TSIH), from 1 to 65535. */
  readonly tsih: number
  /** Whether it is a discovery session. */
  readonly discovery: boolean
  /** Number of its portal. */
  readonly portal: number
  /** Whether headers carry a CRC32C digest. */
  readonly headerDigest: boolean
  /** Whether data segments carry a CRC32C digest. */
  readonly dataDigest: boolean
  /** Whether Data-Out must wait for an R2T. */
  readonly initialR2T: boolean
  /** Whether a command may carry data itself. */
  readonly immediateData: boolean
  /** Bytes of a write that may come unasked, immediate data included. */
  readonly firstBurstLength: number
  /** Bytes that one R2T may ask for, and of one sequence of Data-In. */
  readonly maxBurstLength: number
  /** R2Ts that a task may have open at once. */
  readonly maxOutstandingR2T: number
  /** MaxRecvDataSegmentLength of the initiator. */
  readonly maxSendDataSegmentLength: number
  /** Commands that are not answered. */
  readonly inflight: number
  /** Cuts its connection, by FIN where nothing is left unread. */
  cut(): void
  /** Ends its connection by RST, as a host does that has crashed. */
  reset(): void
  /** Nothing comes in and nothing goes out; what would, waits and is delivered when it ends. */
  blackhole(on: boolean): void
  /** Sends a NOP-In that asks for an answer; see {@link IscsiCounters.pongs}. */
  ping(): void
  /** Sends an Async Message (RFC 7143 §11.9). */
  message(message: IscsiMessage): void
}

/** An Async Message. */
export interface IscsiMessage {
  /** 0 SCSI, 1 logout asked for, 2 connection dropped, 3 all dropped, 4 negotiation asked for, 5 tasks ended, 255 own. */
  event: number
  /** Vendor code. @defaultValue 0 */
  code?: number
  /** @defaultValue 0, 0, 0 */
  parameters?: readonly [number, number, number]
  /** LUN, for event 0 and 5. @defaultValue 0 */
  lun?: number
  /** Sense data of event 0: key << 16 | ASC << 8 | ASCQ. */
  sense?: number
}

/** What has happened since the array was made. */
export interface IscsiCounters {
  /** TCP connections that were accepted. */
  readonly connections: number
  /** Logins that succeeded, discovery sessions included. */
  readonly logins: number
  /** Sessions that a new login has ended. */
  readonly reinstatements: number
  /** Logouts. */
  readonly logouts: number
  /** SCSI commands by opcode. */
  readonly commands: Readonly<Record<number, number>>
  /** Task management requests. */
  readonly taskManagement: number
  /** Tasks that task management has ended. */
  readonly aborts: number
  /** NOP-Ins of the array that were answered. */
  readonly pongs: number
  /** Commands that were ignored as their CmdSN was outside of the window. */
  readonly ignored: number
  /** Bytes of data for tasks that were no more, thrown away. */
  readonly strayBytes: number
}

/** A command whose turn had come. */
export interface IscsiLogEntry {
  /** iSCSI name of the initiator. */
  readonly initiatorName: string
  /** {@link IscsiSession.tsih} of its session. */
  readonly tsih: number
  /** Number of its portal. */
  readonly portal: number
  /** -1 where there is no such unit. */
  readonly lun: number
  /** Its CDB, 16 bytes; a shorter one has padding behind it. */
  readonly cdb: Uint8Array
  /** Its CmdSN, unsigned 32 bits. */
  readonly cmdSn: number
  /** Bytes of data that came with the command itself. */
  readonly immediateBytes: number
}

/** A simulated array that speaks iSCSI. A wrong argument is a TypeError that names it. */
export interface IscsiArray extends AsyncDisposable {
  /** Name of the target. */
  readonly name: string
  /** Its addresses, in the order of their numbers. */
  readonly portals: readonly IscsiPortal[]
  /** Sessions that have a connection now, discovery sessions included; made anew for each look. */
  readonly sessions: readonly IscsiSession[]
  /** Counts from its start on; they go on in the same object. */
  readonly counters: IscsiCounters
  /** What initiators did against the standard, a sentence each. Empty, or there is a bug in one. */
  readonly violations: readonly string[]
  /** Commands in the order of their turns; empty unless the option `log` is set. */
  readonly log: readonly IscsiLogEntry[]
  /** Faults to put in and take out. */
  readonly faults: IscsiFaults
  /** Puts a volume at a LUN, 0 where it does not say, in place of what is there; every session hears of it by a unit attention. */
  map(lun: IscsiLunOptions): Promise<void>
  /** Takes a LUN away, from some portals or from all. */
  unmap(lun: number, portals?: readonly number[]): Promise<void>
  /** Sets the access state of a volume, or of all, where its device has none of its own. */
  setAccess(where: { portal?: number; group?: number; volume?: VolumeId }, access: Access): void
  /** Sets whether ports are preferred (SPC-5 PREF), of a volume or of all. */
  prefer(where: { portal?: number; group?: number; volume?: VolumeId }, on: boolean): void
  /** Queues a unit attention for every session that sees the volume: ASC << 8 | ASCQ. */
  attention(volume: VolumeId | 'all', code: number): void
  /** Reserves a volume for a host elsewhere, by a type of SPC-4 table 65, such as 3 for exclusive access. */
  reserve(volume: VolumeId, type: number): void
  /** Takes every reservation and registration of a volume away. */
  clearReservations(volume: VolumeId): void
  /** Closed, sessions get no new numbers for commands (MaxCmdSN stands still). */
  setWindowOpen(open: boolean): void
  /** Ends every connection and stops listening. Devices stay open, but for those that were opened for a session. */
  close(): Promise<void>
}
