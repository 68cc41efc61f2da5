import type { NvmeArray, NvmeArrayOptions, NvmeHold } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevice, FenceProof, Host, IoStatus, MultipathDevice, Path, PathInfo, Target } from '@blockbraid/core'
import { Io, IoOp, NO_BUFFERS, openMultipath, systemHost } from '@blockbraid/core'
import type { MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { forward } from '@blockbraid/testkit'
import { afterEach, expect } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import { nvmeof } from '../../src/index.ts'

export const BLOCK = 4096
export const OLD = 1
export const NEW = 2
export const WRITE = 0x01

const HOST = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
  hostId: '6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
}

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

/** An array over sockets, whose volume two hosts may use. */
export interface Wire {
  readonly array: NvmeArray
  /** The first byte of the range that is written, as the volume has it. */
  stored(): number
  host(options?: Partial<NvmeofOptions>, process?: Host): Target
}

/** Ports as a test needs them; the volume stands in memory, whatever becomes of controllers. */
export async function wire(options: Partial<NvmeArrayOptions> = {}): Promise<Wire> {
  const storage: MemoryTarget = memory({ volumes: [{ size: '1MiB', blockSize: BLOCK }], ports: 1 })
  const [info] = await storage.discover()
  const device = await storage.connect(info!)
  const array = await createNvmeArray({
    name: 'nqn.2026-11.io.blockbraid:array',
    ports: [{}, {}],
    namespaces: [{ volume: info!.volume, device: plain(device) }],
    ...options,
  })
  afterwards(() => storage.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  afterwards(() => array.close())
  return {
    array,
    stored: () => storage.array.peek(0, 0, 1)[0]!,
    host(more = {}, process = systemHost) {
      const target = nvmeof(
        {
          portals: array.ports.map(({ address }) => address),
          subsystem: array.name,
          ...HOST,
          keepAliveTimeout: 5000,
          quiesceTime: 100,
          connectTimeout: 2000,
          commandTimeout: 1000,
          pollInterval: 100,
          ...more,
        },
        process,
      )
      // One that was killed never answers.
      afterwards(() => target.close({ signal: AbortSignal.timeout(200) }).catch(() => {}))
      return target
    },
  }
}

// Without an access state of its own: the array's counts.
const plain = (device: BlockDevice): BlockDevice => ({
  get limits() {
    return device.limits
  },
  submit: (io) => device.submit(io),
  close: (options) => device.close(options),
})

/** A device over every path, which sends all through that of port 0 while it can. */
export interface Paths {
  readonly device: MultipathDevice
  /** The paths as the target opened them, in the order of connects. */
  readonly opened: readonly Path[]
  /** How the first path was fenced. */
  proof(): FenceProof | undefined
}

/** `fences` false: paths say that they are fenced at once, and do nothing for it. */
export async function openDevice({ array }: Wire, target: Target, { fences = true } = {}): Promise<Paths> {
  const opened: Path[] = []
  const watched: Target = {
    name: target.name,
    discover: (options) => target.discover(options),
    close: (options) => target.close(options),
    async connect(info, options) {
      const path = await target.connect(info, options)
      opened.push(path)
      return fences ? path : forward(path, { close: async () => {} })
    },
  }
  const infos = [...(await target.discover())]
  const order = array.ports.map(({ address }) => address)
  const place = ({ address }: PathInfo): number => order.indexOf(address)
  infos.sort((one, other) => place(one) - place(other))
  const device = await openMultipath(
    infos[0]!.volume,
    infos.map((info) => ({ target: watched, info })),
    { multipath: { reconnectDelay: 50, reconnectDelayMax: 200, ioTimeout: 30_000 } },
  )
  afterwards(() => device.close({ signal: AbortSignal.timeout(200) }).catch(() => {}))
  await expect.poll(() => device.paths.map(({ state }) => state)).toEqual(order.map(() => 'up'))
  const first = opened.find(({ id }) => id.includes(order[0]!))!
  return { device, opened, proof: () => first.fencedBy }
}

/** Runs one Io to its end. */
export function run(device: BlockDevice, op: IoOp, fill = 0): Promise<IoStatus> {
  return new Promise((resolve) => {
    const io = new Io()
    io.op = op
    io.offset = 0
    io.length = op === IoOp.Flush ? 0 : BLOCK
    io.buffers = op === IoOp.Write ? [Buffer.alloc(BLOCK, fill)] : op === IoOp.Read ? [Buffer.alloc(BLOCK)] : NO_BUFFERS
    io.done = (_io, status) => resolve(status)
    device.submit(io)
  })
}

/** A write through port 0 that the array keeps. */
export async function holdWrite(
  { array }: Wire,
  { device }: Paths,
): Promise<{ readonly hold: NvmeHold; readonly old: Promise<IoStatus> }> {
  const hold = array.faults.command({ port: 0, opcode: WRITE, holds: true })
  const old = run(device, IoOp.Write, OLD)
  await expect.poll(() => hold.held).toBe(1)
  return { hold, old }
}
