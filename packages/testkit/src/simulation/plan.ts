import type { Access, IoOp, MultipathOptions } from '@blockbraid/core'

/** What may happen in a schedule; every seed draws which of them do. */
export const features: Readonly<Record<Feature, string>> = {
  ports: 'ports that die and come back',
  hangs: 'ports that answer nothing, and execute what they hold when they are released',
  mutes: 'ports that execute and answer nothing: a black hole on the way back',
  slow: 'ports that are slow for a while',
  errors: 'commands that fail in bursts',
  access: 'access states that change',
  blackouts: 'all ports dead at once',
  byHand: 'paths that are taken out and let back by hand',
  policies: 'policies that are exchanged under I/O',
  fences: 'fences that stick',
  remaps: 'volumes that are unmapped, and numbers that are given to another volume',
  reopens: 'pairs that are closed and opened again',
  secondHost: 'a second host with paths to the same volumes',
  shared: 'several clients that change the same blocks',
  reconnect: 'clients that disconnect, come back and send again what they had in flight',
  halfOpen: 'old connections that stay half open while their client is back already',
  forgets: 'clients that disconnect and forget what they had in flight',
  rewrite: 'writes to a block where one has ended with EIO',
  kill: 'processes that are killed, with commands in flight',
  takeOver: 'processes that hand over, with fences that stick',
  cacheLoss: 'caches that are lost, also with the power',
  flags: 'sizes and flags that change',
  twin: 'other disks that have the name of the volume, and come and go',
  meddling: 'policies that write into what they get',
  rates: 'rates that are set and lifted under I/O',
}

/** One of {@link features}. */
export type Feature =
  | 'ports'
  | 'hangs'
  | 'mutes'
  | 'slow'
  | 'errors'
  | 'access'
  | 'blackouts'
  | 'byHand'
  | 'policies'
  | 'fences'
  | 'remaps'
  | 'reopens'
  | 'secondHost'
  | 'shared'
  | 'reconnect'
  | 'halfOpen'
  | 'forgets'
  | 'rewrite'
  | 'kill'
  | 'takeOver'
  | 'cacheLoss'
  | 'flags'
  | 'twin'
  | 'meddling'
  | 'rates'

/** A request of a client. */
export interface IoEvent {
  /** What tells it from the others. */
  readonly do: 'io'
  /** Milliseconds from the start; later where the client has as much in flight as it may. */
  readonly at: number
  /** Number of the client. */
  readonly client: number
  /** What it does. */
  readonly op: IoOp
  /** First block, of those of the client. */
  readonly first: number
  /** Blocks; 0 for a flush. */
  readonly count: number
  /** Durable before it is done. */
  readonly fua: boolean
  /** An error rather than a wait. */
  readonly failFast?: boolean
}

/** One thing of that name, with what it is done to. */
export type Happens<Do extends string, With = object> = Readonly<With> & {
  /** Milliseconds from the start. */
  readonly at: number
  /** Its name. */
  readonly do: Do
}

/** An access state of one port, or of all of a controller. */
export interface AccessChange {
  /** Number of the port; undefined: all of the controller. */
  readonly port: number | undefined
  /** Number of the controller. */
  readonly controller: number
  /** From now on. */
  readonly access: Access
}

/** Something that goes wrong, or is mended, or is done by an operator. */
export type FaultEvent =
  | Happens<'port down' | 'port up' | 'hang' | 'release' | 'mute' | 'unmute', Record<'port', number>>
  | Happens<'slow', Record<'port' | 'extra', number>>
  | Happens<'errors', Record<'port' | 'rate' | 'status', number>>
  | Happens<'access', AccessChange>
  | Happens<'unmap' | 'remap' | 'map back', Record<'port' | 'volume', number>>
  | Happens<'fail path' | 'restore path', Record<'host' | 'volume' | 'port', number>>
  | Happens<'policy', Record<'host' | 'volume' | 'policy', number>>
  | Happens<'rates', Record<'host' | 'volume' | 'iops', number>>
  | Happens<
      'lose cache',
      Record<'volume', number> & Record<'late', readonly number[]> & Partial<Record<'unheard', boolean>>
    >
  | Happens<'power loss', Record<'off', number>>
  | Happens<'disconnect', Record<'client' | 'known', number>>
  | Happens<'kill', Record<'host' | 'pause', number>>
  | Happens<'hand over', Record<'host' | 'pause' | 'patience', number>>
  | Happens<'reopen', Record<'host' | 'volume', number> & Record<'abandons', boolean>>
  | Happens<'size', Record<'volume' | 'size', number>>
  | Happens<'flag', Record<'volume', number> & Record<'flag', VolumeFlag>>
  | Happens<'protect', Record<'volume' | 'port' | 'time', number>>
  | Happens<'mend' | 'fences stick' | 'fences free' | 'crash check' | 'twin'>

/** A flag of a volume that may change. */
export type VolumeFlag = 'readOnly' | 'writeCache' | 'fua' | 'trim' | 'writeZeroes'

/** One thing that happens at its time. */
export type PlanEvent = IoEvent | FaultEvent

/** Options of the multipath devices, those of which the judge has to know given. */
export type ShapeOptions = MultipathOptions & Readonly<Record<JudgedOption, number>>

/** Times that bound how long something may take, milliseconds. */
export type JudgedOption =
  | 'ioTimeout'
  | 'flushTimeout'
  | 'trimTimeout'
  | 'zeroTimeout'
  | 'noPathTimeout'
  | 'connectTimeout'
  | 'reconnectDelay'
  | 'reconnectDelayMax'

/** What a schedule is played on. */
export interface Shape {
  /** Ports of the array. */
  readonly ports: number
  /** Controllers of the array. */
  readonly controllers: number
  /** Volumes in use; each host has a pair of each. */
  readonly volumes: number
  /** Hosts. */
  readonly hosts: number
  /** Clients of each volume of each host. */
  readonly clients: number
  /** Blocks of each client. */
  readonly blocks: number
  /** Requests that a client has in flight at most. */
  readonly depth: number
  /** Bytes. */
  readonly blockSize: 512 | 4096
  /** Of each port. */
  readonly queueDepth: number
  /** Bytes of a command at most. */
  readonly maxTransfer: number
  /** Most that the ledger takes for a write, ms. */
  readonly ledgerDelay: number
  /** Of a command, µs. */
  readonly latency: Readonly<Record<'base' | 'jitter', number>>
  /** µs. */
  readonly fenceDelay: number
  /** What the volumes can do. */
  readonly volume: Readonly<Record<'writeCache' | 'fua' | 'trim' | 'writeZeroes', boolean>>
  /** Access state of each controller at the start. */
  readonly access: readonly Access[]
  /** Of the multipath devices. */
  readonly multipath: ShapeOptions
  /** The policy that each pair begins with, by its number. */
  readonly policy: number
  /** Whether the twin tells another serial number; else its size gives it away. */
  readonly twinSerial: boolean
}

/** A schedule: all that happens, as data. With its seed it replays exactly. */
export interface Plan {
  /** Of the randomness of the array, of core and of the clock. */
  readonly seed: number
  /** What may happen in it. */
  readonly features: readonly Feature[]
  /** Names of the policies that its numbers mean, in turn; left out: those of the parts that it is played on. */
  readonly policies?: readonly string[]
  /** What it is played on. */
  readonly shape: Shape
  /** In the order of their times. */
  readonly events: readonly PlanEvent[]
}
