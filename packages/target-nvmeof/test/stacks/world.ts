import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { NvmeArray } from '@blockbraid/array-nvmeof'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import type { BlockDevice, BlockDevicePair, Host, HostAgent, Target } from '@blockbraid/core'
import type { MemoryArray, MemoryTarget } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { KillableHost, ProcessLedger, SharedLedger, VirtualHost } from '@blockbraid/testkit'
import { BlockHistory, createSharedLedger } from '@blockbraid/testkit'
import type { Network } from '@blockbraid/wire'
import { FakeNetwork } from '@blockbraid/wire'
import type { CountedHost } from './counted.ts'
import { counted } from './counted.ts'

/** Which initiators reach the volume: by iSCSI, by NVMe/TCP, or by both in one device. */
export type Stack = 'iscsi' | 'nvme' | 'both'

export const BLOCK = 512
export const CLIENTS = 3
/** Blocks of one client: more than one transfer has, so that large changes are split. */
export const BLOCKS = 12
export const PORTS = 2
export const ISCSI = ['10.0.0.1:3260', '10.0.0.2:3260']
export const NVME = ['10.0.1.1:4420', '10.0.1.2:4420']
export const TARGET = 'iqn.2026-11.io.blockbraid:array'
export const SUBSYSTEM = 'nqn.2026-11.io.blockbraid:array'

/** What goes wrong: anything, or that alone which leaves writes behind that may come late. */
export type Kind = 'all' | 'late'

/** What a mutant breaks. */
export interface Seams {
  /** The array's side: what ends there what a lost session, or controller, has sent. */
  readonly unfenced?: boolean
  /** The initiator's side. */
  target?(target: Target): Target
}

/** One life of the agent, with all that ends with it. */
export interface Process {
  readonly host: KillableHost
  readonly time: CountedHost
  readonly network: Network
  readonly ledger: ProcessLedger
  readonly targets: readonly Target[]
  readonly agent: HostAgent
  pair: BlockDevicePair | undefined
  /** What clients submit to, while it serves. */
  device: BlockDevice | undefined
}

/** All that a schedule has. */
export interface World {
  readonly host: VirtualHost
  readonly stack: Stack
  readonly kind: Kind
  readonly seams: Seams
  readonly net: FakeNetwork
  readonly storage: MemoryArray
  readonly inner: MemoryTarget
  /** The time of the arrays before the storage. */
  readonly arrayTime: CountedHost
  readonly iscsi: IscsiArray | undefined
  readonly nvme: NvmeArray | undefined
  /** Every address at which the volume is reached. */
  readonly addresses: readonly string[]
  readonly ledger: SharedLedger
  /** By block of the volume. */
  readonly histories: readonly BlockHistory[]
  process: Process | undefined
  begun: number
  /** Writes so far; each is a generation of its blocks. */
  generations: number
  /** Caches that were lost so far. */
  losses: number
  /** Requests that were answered. */
  answers: number
  /** What was done, for the message of a failure. */
  readonly acts: string[]
  /** Rejects with the first fault. */
  readonly fault: Promise<never>
  fail(error: unknown): void
  /** Somebody waits for a process to serve. */
  readonly waiting: Set<() => void>
}

const portalsOf = (addresses: readonly string[], group?: number) =>
  addresses.map((address) => {
    const [host, port] = address.split(':') as [string, string]
    return { host, port: Number(port), ...(group !== undefined && { group }) }
  })

/** A storage behind the arrays of a stack, in a network of fake wires, all in the time of `host`. */
export async function createWorld(host: VirtualHost, stack: Stack, kind: Kind, seams: Seams): Promise<World> {
  const { random, clock } = host
  const storage = createMemoryArray(
    {
      volumes: [{ size: 64 * 1024, blockSize: BLOCK, writeCache: random() < 0.7 }],
      ports: PORTS,
      latency: { base: 100, jitter: 900 },
      maxTransfer: 4096,
      log: true,
    },
    host,
  )
  const net = new FakeNetwork(clock, {
    random,
    latency: [0.05, 3],
    ...(random() < 0.3 && { window: 2048 }),
    pieces: random() < 0.5,
  })
  const inner = memory({ array: storage }, host)
  const arrayTime = counted(host)
  const arrayHost = { ...arrayTime, network: net.host(), randomBytes: bytesOf(random) }
  const reinstate = seams.unfenced ? false : random() < 0.5 ? ('lazy' as const) : true
  const iscsi =
    stack === 'nvme'
      ? undefined
      : await iscsiArrayOf(
          inner,
          { name: TARGET, portals: portalsOf(ISCSI, random() < 0.7 ? 1 : undefined), reinstate },
          arrayHost,
        )
  const nvme =
    stack === 'iscsi'
      ? undefined
      : await nvmeArrayOf(
          inner,
          {
            name: SUBSYSTEM,
            ports: portalsOf(NVME),
            crossResets: random() < 0.7 ? 4 : 0,
            lingers: random() < 0.7,
            ...(seams.unfenced && { fences: { disable: false, crossReset: false, keepAlive: false } }),
          },
          arrayHost,
        )
  let fail: (error: unknown) => void = () => {}
  const fault = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  fault.catch(() => {})
  return {
    host,
    stack,
    kind,
    seams,
    net,
    storage,
    inner,
    arrayTime,
    iscsi,
    nvme,
    addresses: [...(iscsi === undefined ? [] : ISCSI), ...(nvme === undefined ? [] : NVME)],
    ledger: createSharedLedger(clock, random),
    histories: Array.from({ length: CLIENTS * BLOCKS }, () => new BlockHistory(0)),
    process: undefined,
    begun: 0,
    generations: 0,
    losses: 0,
    answers: 0,
    acts: [],
    fault,
    fail,
    waiting: new Set(),
  }
}

/** Bytes that a seed gives. */
export function bytesOf(random: () => number): (count: number) => Buffer {
  return (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)))
}

export const pause = (host: Host, milliseconds: number): Promise<void> =>
  new Promise((resolve) => host.clock.after(milliseconds, resolve))

export const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
