import type { MemoryArray, MemoryTarget } from '@blockbraid/target-memory'
import type { BlockHistory, KillableHost, ProcessLedger, SharedLedger, VirtualHost } from '@blockbraid/testkit'
import { randomInt, readStamp } from '@blockbraid/testkit'
import type { BlockDevice, BlockDevicePair, HostAgent, Io, IoSource } from '../../src/index.ts'
import type { Kind, Seams } from './kinds.ts'

export const BLOCK = 512
export const CLIENTS = 4
/** Blocks of one client: more than one transfer has, so that large changes are split. */
export const BLOCKS = 12
export const PORTS = 4

/** Who writes and reads blocks of its own, one request at a time, over one connection after the other. */
export interface Client {
  readonly number: number
  connection: Connected | undefined
  /** How many lost caches it need not be told of any more. */
  told: number
}

/** What a client asks for. */
export interface Request {
  readonly op: Io['op']
  readonly flags: number
  readonly offset: number
  readonly length: number
  readonly buffers: Uint8Array[]
}

/** How a request ended: its status, or that nobody will ever know. */
export type Answer = number | 'gone'

/** One connection of a client to the process that serves. */
export interface Connected {
  readonly source: IoSource
  readonly process: Process
  /** Number of the client. */
  readonly client: number
  request(request: Request): Promise<Answer>
  /** The client sees its end; the process may not know yet. */
  lose(): void
}

/** One life of the agent: all that ends with it. */
export interface Process {
  readonly number: number
  readonly host: KillableHost
  readonly target: MemoryTarget
  readonly ledger: ProcessLedger
  readonly agent: HostAgent
  pair: BlockDevicePair | undefined
  /** What clients submit to; undefined until the volume is open, and once the process is on its way out. */
  device: BlockDevice | undefined
}

/** Another disk, of another array, that has the name of the volume, and comes and goes. */
export interface Twin {
  readonly array: MemoryArray
  /** What it tells, which only its size gives away where this is undefined. */
  readonly serial: string | undefined
}

/** All that a schedule has. */
export interface World {
  readonly host: VirtualHost
  readonly kinds: ReadonlySet<Kind>
  readonly seams: Seams
  readonly array: MemoryArray
  readonly ledger: SharedLedger
  readonly twin: Twin | undefined
  /** By block of the volume. */
  readonly histories: readonly BlockHistory[]
  readonly clients: Client[]
  readonly connections: Set<Connected>
  /** Paths that live, and how many of the lost caches they have told of. */
  readonly paths: Set<{ readonly port: number; heard: number }>
  /** Clients that were disconnected while this process serves. */
  readonly left: Set<number>
  /** The one that serves, or is about to. */
  process: Process | undefined
  /** Processes so far. */
  begun: number
  /** Writes so far; each is a generation of its blocks. */
  generations: number
  /** Caches that were lost so far. */
  losses: number
  /** How often a flag was switched. */
  switched: number
  /** Rejects with the first fault. */
  readonly fault: Promise<never>
  fail(error: unknown): void
  /** Settles at the next {@link World.wake}. */
  change(): Promise<void>
  wake(): void
  /** Every connection of clients ends. */
  disconnectAll(tell?: (source: IoSource) => void): void
  newsIsGone(): void
}

const zeroes = new Uint8Array(BLOCK)

/** The value that a block holds, as histories count; -2 where no change has put that there. */
export function blockValue(bytes: Uint8Array, block: number): number {
  const stamp = readStamp(bytes)
  if (stamp !== undefined) return stamp.offset === block * BLOCK ? stamp.generation : -2
  return Buffer.compare(bytes.subarray(0, BLOCK), zeroes) === 0 ? 0 : -2
}

/** A power loss now must leave what is durable, or something later, in each block. */
export function checkCrash(world: World): void {
  const image = world.array.crashImage(0)
  for (const [block, history] of world.histories.entries()) {
    const value = blockValue(image.read(block * BLOCK, BLOCK), block)
    if (history.mayStandAfterCrash(value)) continue
    throw new Error(`after a power loss block ${block} holds ${value}, which is none of: ${history}`)
  }
}

export const delayOf = (host: VirtualHost, milliseconds: number): Promise<void> =>
  new Promise((resolve) => host.clock.after(milliseconds, resolve))

export const pick = <T>(random: () => number, list: readonly T[]): T => list[randomInt(random, list.length)]!
