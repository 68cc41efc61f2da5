import type { Access, IoOp, MultipathOptions } from '@blockbraid/core'

/** What may happen in a schedule; every seed draws which of them do. */
export const features = {
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
  rewrite: 'writes to a block where one has ended with EIO',
  kill: 'processes that are killed, with commands in flight',
  takeOver: 'processes that hand over, with fences that stick',
  cacheLoss: 'caches that are lost, also with the power',
  flags: 'sizes and flags that change',
  twin: 'other disks that have the name of the volume, and come and go',
  meddling: 'policies that write into what they get',
} as const

/** One of {@link features}. */
export type Feature = keyof typeof features

/** A request of a client. */
export interface IoEvent {
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
}

/** Something that goes wrong, or is mended, or is done by an operator. */
export type FaultEvent = { readonly at: number } & (
  | { readonly do: 'port down' | 'port up' | 'hang' | 'release' | 'mute' | 'unmute'; readonly port: number }
  | { readonly do: 'slow'; readonly port: number; readonly extra: number }
  | { readonly do: 'errors'; readonly port: number; readonly rate: number; readonly status: number }
  | { readonly do: 'access'; readonly port: number | undefined; readonly controller: number; readonly access: Access }
  | { readonly do: 'unmap' | 'remap' | 'map back'; readonly port: number; readonly volume: number }
  | { readonly do: 'fail path' | 'restore path'; readonly host: number; readonly volume: number; readonly port: number }
  | { readonly do: 'policy'; readonly host: number; readonly volume: number; readonly policy: number }
  | { readonly do: 'lose cache'; readonly volume: number; readonly late: readonly number[] }
  | { readonly do: 'power loss'; readonly off: number }
  | { readonly do: 'disconnect'; readonly client: number; readonly known: number }
  | { readonly do: 'kill'; readonly host: number; readonly pause: number }
  | { readonly do: 'hand over'; readonly host: number; readonly pause: number; readonly patience: number }
  | { readonly do: 'reopen'; readonly host: number; readonly volume: number; readonly abandons: boolean }
  | { readonly do: 'size'; readonly volume: number; readonly size: number }
  | { readonly do: 'flag'; readonly volume: number; readonly flag: VolumeFlag }
  | { readonly do: 'protect'; readonly volume: number; readonly port: number; readonly time: number }
  | { readonly do: 'mend' | 'fences stick' | 'fences free' | 'crash check' | 'twin' }
)

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
  /** Of a command, µs. */
  readonly latency: { readonly base: number; readonly jitter: number }
  /** µs. */
  readonly fenceDelay: number
  /** What the volumes can do. */
  readonly volume: {
    readonly writeCache: boolean
    readonly fua: boolean
    readonly trim: boolean
    readonly writeZeroes: boolean
  }
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
  /** What it is played on. */
  readonly shape: Shape
  /** In the order of their times. */
  readonly events: readonly PlanEvent[]
}
