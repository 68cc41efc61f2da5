import type { Access, VolumeId } from '@blockbraid/core'
import type { NvmeFaults } from '../faults/types.ts'
import type { NvmeNamespaceOptions, NvmeReferral } from './options.ts'

/** One address of the array. */
export interface NvmePort {
  /** Its number, from 0. */
  readonly number: number
  /** Name or address it listens on. */
  readonly host: string
  /** TCP port it listens on. */
  readonly port: number
  /** `host:port`. */
  readonly address: string
  /** What the discovery log tells of it; to be set where a proxy stands before it. @defaultValue `address` */
  advertised: string
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

/** A controller at one moment. */
export interface NvmeController {
  /** CNTLID. */
  readonly id: number
  /** Host NQN. */
  readonly hostNqn: string
  /** Host ID, 32 hex digits. */
  readonly hostId: string
  /** Number of its port. */
  readonly port: number
  /** Whether it is a discovery controller. */
  readonly discovery: boolean
  /** Whether its admin queue has a connection; without one it lives on until its keep-alive timer ends it. */
  readonly connected: boolean
  /** CSTS.RDY. */
  readonly ready: boolean
  /** Keep-alive timeout that it counts by, ms; 0: none. */
  readonly keepAliveTimeout: number
  /** CIU. */
  readonly instance: number
  /** CIRN, 16 hex digits. */
  readonly instanceRandom: string
  /** Identifiers of its I/O queues that have a connection. */
  readonly queues: readonly number[]
  /** Whether headers of its admin queue carry a digest. */
  readonly headerDigest: boolean
  /** Whether data of its admin queue carries a digest. */
  readonly dataDigest: boolean
  /** Commands of its I/O queues that are not answered. */
  readonly inflight: number
  /** Async Event Requests that wait. */
  readonly asyncEvents: number
  /** Cuts the connection of a queue, or of all, by FIN where nothing is left unread. */
  cut(queue?: number): void
  /** Ends the connection of a queue, or of all, by RST, as a host does that has crashed. */
  reset(queue?: number): void
  /** Nothing comes in and nothing goes out over a queue's connection, or all; what would, waits. */
  blackhole(on: boolean, queue?: number): void
  /** Sends an event, or keeps it until a request for one comes. */
  event(event: NvmeEvent): void
  /** It breaks down: CSTS.CFS, and nothing is executed any more. */
  fail(): void
  /** Ends it as its keep-alive timer does; settles when nothing that it has can change data any more. */
  end(): Promise<void>
  /** Takes another CIRN, as after a reset that its host has not noticed. */
  renew(): void
}

/** An event (NVMe Base 2.1 §5.1.2). */
export interface NvmeEvent {
  /** 0 error, 1 SMART, 2 notice, 3 immediate, 6 I/O command set, 7 vendor. */
  type: number
  /** Event information. */
  info: number
  /** Log page that it belongs to. */
  log: number
}

/** What has happened since the array was made. */
export interface NvmeCounters {
  /** TCP connections that were accepted. */
  readonly connections: number
  /** Controllers that were made: admin Connects that succeeded. */
  readonly controllers: number
  /** I/O Connects that succeeded. */
  readonly queues: number
  /** Connects that were refused. */
  readonly refused: number
  /** Commands of I/O queues by opcode. */
  readonly commands: Readonly<Record<number, number>>
  /** Admin commands by opcode. */
  readonly adminCommands: Readonly<Record<number, number>>
  /** Controllers that were disabled by CC.EN. */
  readonly disables: number
  /** Controllers that were shut down by CC.SHN. */
  readonly shutdowns: number
  /** Keep Alive commands. */
  readonly keepAlives: number
  /** Controllers that the keep-alive timer has ended. */
  readonly expirations: number
  /** Cross-controller resets that were begun. */
  readonly crossResets: number
  /** Abort commands. */
  readonly aborts: number
  /** Events that were sent. */
  readonly events: number
  /** TermReqs that hosts sent. */
  readonly terminations: number
  /** Commands that were thrown away unexecuted as their controller or queue ended. */
  readonly dropped: number
  /** Bytes of data for commands that were no more, thrown away. */
  readonly strayBytes: number
}

/** A command whose data is there. */
export interface NvmeLogEntry {
  /** Its host's NQN. */
  readonly hostNqn: string
  /** CNTLID. */
  readonly controller: number
  /** Number of its port. */
  readonly port: number
  /** Queue, 0: the admin queue. */
  readonly queue: number
  /** Its submission queue entry, 64 bytes. */
  readonly sqe: Uint8Array
  /** Bytes of data that came with the command itself. */
  readonly inCapsuleBytes: number
}

/** A simulated array that speaks NVMe/TCP: one subsystem. A wrong argument is a TypeError that names it. */
export interface NvmeArray extends AsyncDisposable {
  /** NQN of the subsystem. */
  readonly name: string
  /** Its addresses, in the order of their numbers. */
  readonly ports: readonly NvmePort[]
  /** Controllers that have not ended, discovery controllers included; made anew for each look. */
  readonly controllers: readonly NvmeController[]
  /** Counts from its start on; they go on in the same object. */
  readonly counters: NvmeCounters
  /** What hosts did against the standard, a sentence each. Empty, or there is a bug in one. */
  readonly violations: readonly string[]
  /** Commands in the order in which their data was there; empty unless the option `log` is set. */
  readonly log: readonly NvmeLogEntry[]
  /** Faults to put in and take out. */
  readonly faults: NvmeFaults
  /** Discovery controllers that the log tells of beside this one; to be set: hosts hear of it. */
  referrals: readonly NvmeReferral[]
  /** Puts a volume at an NSID, 1 where it does not say, in place of what is there; every controller hears of it by an event. */
  map(namespace: NvmeNamespaceOptions): Promise<void>
  /** Takes a namespace away, from some ports or from all. */
  unmap(nsid: number, ports?: readonly number[]): Promise<void>
  /** Sets the ANA state of groups, or of all, where their devices have none of their own. */
  setAccess(where: { port?: number; group?: number; volume?: VolumeId }, access: Access): void
  /** Moves a volume to another ANA group. */
  setGroup(volume: VolumeId, group: number): void
  /** Tells hosts that the discovery log has changed, whether it has or not. */
  discoveryChanged(): void
  /** Reserves a volume for a host elsewhere, by a type of NVM command set, such as 3 for exclusive access, registrants only. */
  reserve(volume: VolumeId, type: number): void
  /** Takes every reservation and registration of a volume away. */
  clearReservations(volume: VolumeId): void
  /** Ends every connection and stops listening. Devices stay open, but for those that were opened for a controller. */
  close(): Promise<void>
}
