import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray } from '@blockbraid/target-memory'
import type { SharedLedger, VirtualHost } from '@blockbraid/testkit'
import { BlockHistory, createSharedLedger, randomInt, readStamp } from '@blockbraid/testkit'
import type { IoSource } from '../../src/index.ts'
import type { Client } from './client.ts'
import type { Connection } from './connection.ts'
import type { Kind, Seams } from './kinds.ts'
import type { Process } from './processes.ts'
import type { Twin } from './twin.ts'
import { createTwin } from './twin.ts'

export const BLOCK = 512
export const CLIENTS = 4
/** Blocks of one client: more than one transfer has, so that large changes are split. */
export const BLOCKS = 12
export const PORTS = 4

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
  readonly connections: Set<Connection>
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

export function createWorld(host: VirtualHost, kinds: ReadonlySet<Kind>, seams: Seams): World {
  const { random } = host
  const some = (): boolean => random() < 0.7
  const array = createMemoryArray(
    {
      volumes: [
        { size: 64 * 1024, blockSize: 512, writeCache: some(), fua: some(), trim: some(), writeZeroes: some() },
      ],
      ports: PORTS,
      latency: { base: 200, jitter: 800 },
      maxTransfer: 4096,
      fenceDelay: 3000,
      log: true,
    },
    host,
  )
  let waiting: (() => void)[] = []
  let fail: (error: unknown) => void = () => {}
  const fault = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  fault.catch(() => {})
  const world: World = {
    host,
    kinds,
    seams,
    array,
    twin: kinds.has('twin') ? createTwin(array, host) : undefined,
    ledger: createSharedLedger(host.clock, random),
    histories: Array.from({ length: CLIENTS * BLOCKS }, () => new BlockHistory(0)),
    clients: [],
    connections: new Set(),
    paths: new Set(),
    left: new Set(),
    process: undefined,
    begun: 0,
    generations: 0,
    losses: 0,
    switched: 0,
    fault,
    fail,
    change: () => new Promise((resolve) => waiting.push(resolve)),
    wake() {
      const all = waiting
      waiting = []
      for (const wake of all) wake()
    },
    disconnectAll(tell) {
      for (const connection of [...world.connections]) {
        connection.lose()
        tell?.(connection.source)
      }
    },
    newsIsGone() {
      for (const client of world.clients) client.told = world.losses
      world.left.clear()
    },
  }
  return world
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
