import type { IscsiArray, IscsiArrayOptions } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { BlockDevice, Host, IoStatus, PathInfo, Target, VolumeId } from '@blockbraid/core'
import { Io, NO_BUFFERS, systemHost } from '@blockbraid/core'
import type { MemoryArray, MemoryOptions, MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'

/** An array whose logical units stand on devices of their own, whatever the session. */
export interface Bed {
  readonly storage: MemoryArray
  /** A device for each volume of the storage. */
  readonly devices: readonly BlockDevice[]
  readonly volumes: readonly VolumeId[]
  readonly array: IscsiArray
  readonly target: Target
  host(options?: Partial<IscsiOptions>): Target
  info(portal?: number, lun?: number, target?: Target): Promise<PathInfo>
  open(portal?: number, lun?: number, target?: Target): Promise<IscsiPath>
}

export const BLOCK = 512

let cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  const all = cleanUps.reverse()
  cleanUps = []
  for (const end of all) await end()
})

/** Does it after the test. */
export function afterwards(end: () => Promise<unknown>): void {
  cleanUps.push(end)
}

export interface BedOptions {
  memory?: MemoryOptions
  array?: Partial<IscsiArrayOptions>
  initiator?: Partial<IscsiOptions>
  /** Volumes that are mapped at the start, by number. @defaultValue all */
  mapped?: readonly number[]
  /** What stands between a volume and the array. */
  wrap?: (device: BlockDevice, number: number) => BlockDevice
  host?: Host
}

// Without an access state of its own: the array's counts.
const plain = (device: BlockDevice): BlockDevice => ({
  get limits() {
    return device.limits
  },
  submit: (io) => device.submit(io),
  close: (options) => device.close(options),
})

export async function bed(options: BedOptions = {}): Promise<Bed> {
  const inner: MemoryTarget = memory({ volumes: [{ size: '1MiB', blockSize: BLOCK }], ports: 1, ...options.memory })
  const infos = await inner.discover()
  const wrap = options.wrap ?? plain
  const devices = await Promise.all(infos.map(async (info, number) => wrap(await inner.connect(info), number)))
  const volumes = infos.map(({ volume }) => volume)
  const luns = (options.mapped ?? infos.map((_, number) => number)).map((number) => ({
    lun: number,
    volume: volumes[number] as VolumeId,
    device: devices[number] as BlockDevice,
  }))
  const array = await createIscsiArray({ name: 'iqn.2026-11.io.blockbraid:array', luns, ...options.array })
  afterwards(() => inner.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  afterwards(() => array.close())
  const host = (more: Partial<IscsiOptions> = {}): Target => {
    const made = iscsi(
      {
        portals: array.portals.map(({ address }) => address),
        initiator: 'iqn.2026-11.io.blockbraid:host',
        taskTimeout: 2000,
        loginTimeout: 2000,
        pollInterval: 60_000,
        ...options.initiator,
        ...more,
      },
      options.host ?? systemHost,
    )
    afterwards(() => made.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
    return made
  }
  const target = host()
  const info = async (portal = 0, lun = 0, from: Target = target): Promise<PathInfo> => {
    const { address } = array.portals[portal]!
    const found = (await from.discover()).find((one) => one.address === address && one.lun === String(lun))
    if (found === undefined) throw new Error(`no path to LUN ${lun} through portal ${portal}`)
    return found
  }
  return {
    storage: inner.array,
    devices,
    volumes,
    array,
    target,
    host,
    info,
    open: async (portal, lun, from = target) => (await from.connect(await info(portal, lun, from))) as IscsiPath,
  }
}

/** Submits an Io; resolves to its status. */
export function run(
  device: BlockDevice,
  { op, flags = 0, offset = 0, length, buffers = NO_BUFFERS }: Partial<Io> & Pick<Io, 'op'>,
): Promise<IoStatus> {
  const io = new Io()
  io.op = op
  io.flags = flags
  io.offset = offset
  io.buffers = buffers
  io.length = length ?? buffers.reduce((sum, { length: bytes }) => sum + bytes, 0)
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    device.submit(io)
  })
}

/** Whether a promise has settled by now. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open')
  const first = await Promise.race([promise.catch(() => {}), new Promise((resolve) => setImmediate(resolve, open))])
  return first === open
}

/** Time that runs so many times faster. */
export function fastHost(times: number): Host {
  return {
    clock: {
      now: () => systemHost.clock.now(),
      after: (milliseconds, callback) => systemHost.clock.after(milliseconds / times, callback),
      defer: (callback) => systemHost.clock.defer(callback),
    },
    random: Math.random,
  }
}
