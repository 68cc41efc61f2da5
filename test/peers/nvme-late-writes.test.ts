// A write that the network delivers late over NVMe/TCP, or that the array executes late, changes nothing.
import type { NvmeArray, NvmeArrayOptions, NvmeHold } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevice, BlockDevicePair, Target } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import type { NvmeofOptions } from '@blockbraid/target-nvmeof'
import { nvmeof } from '@blockbraid/target-nvmeof'
import type { ChaosProxy } from '@blockbraid/testkit'
import { createChaosProxy, forward } from '@blockbraid/testkit'
import { nbd } from '@blockbraid/transport-nbd'
import { describe, expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { startQemuIo } from './support/qemu-io.ts'
import { preferring } from './support/two-protocols-bed.ts'

const patient = { timeout: 20_000, interval: 5 }
const SIZE = 64 * 1024
const OLD = 1
const NEW = 2
const WRITE = 0x01

/** A volume behind two ports: the first path leads through a proxy, and takes all I/O while it is usable. */
interface Scene extends AsyncDisposable {
  readonly array: NvmeArray
  readonly proxy: ChaosProxy
  readonly pair: BlockDevicePair
  /** What stands at the first byte. */
  stored(): number
  /** How the first path was fenced last. */
  readonly fence: string | undefined
}

const plain = (device: BlockDevice): BlockDevice => ({
  get limits() {
    return device.limits
  },
  submit: (io) => device.submit(io),
  close: (options) => device.close(options),
})

interface SceneOptions {
  /** Whether the first path is fenced; else it says that it is, at once. @defaultValue true */
  readonly fences?: boolean
  readonly array?: Partial<NvmeArrayOptions>
  readonly host?: Partial<NvmeofOptions>
}

async function openScene({ array: given = {}, host = {}, fences = true }: SceneOptions = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await openFolder())
  const storage = memory({ volumes: [{ size: '4MiB', blockSize: 4096 }], ports: 1 })
  stack.defer(() => storage.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const [info] = await storage.discover()
  const device = plain(await storage.connect(info!))
  const array = await createNvmeArray({
    name: 'nqn.2026-11.io.blockbraid:array',
    ports: [{}, {}],
    namespaces: [{ volume: info!.volume, device }],
    ...given,
  })
  stack.defer(() => array.close())
  const proxy = stack.use(await createChaosProxy({ to: array.ports[0]! }))
  const target = nvmeof({
    portals: [proxy.address, array.ports[1]!.address],
    subsystem: array.name,
    toldPortals: false,
    hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
    hostId: '6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
    keepAliveTimeout: 1000,
    quiesceTime: 300,
    ...host,
  })
  const agent = createHostAgent({ targets: [fences ? target : unfenced(target, proxy.address)] })
  stack.defer(() => agent.close({ signal: AbortSignal.timeout(5000) }).catch(() => {}))
  const { errors } = await agent.rescan()
  if (errors.length > 0) throw errors[0]!.error
  const [volume] = agent.devices().filter(({ kind }) => kind === 'multipath')
  const pair = await agent.pair({
    name: 'vol-0',
    device: volume!.id,
    selector: () => preferring(`nvme-tcp:${array.name}/${proxy.address}`),
    multipath: { reconnectDelay: 50, reconnectDelayMax: 500 },
    transport: nbd({ socket: folder.at('nbd.sock') }),
  })
  await expect.poll(() => pair.paths.map(({ state }) => state), patient).toEqual(['up', 'up'])
  const all = stack.move()
  return {
    array,
    proxy,
    pair,
    stored: () => storage.array.peek(0, 0, 1)[0]!,
    get fence() {
      return pair.paths.find(({ id }) => id.includes(proxy.address))?.fenced?.by
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** A target whose path through `address` says that it is fenced at once, and does nothing for it. */
function unfenced(inner: Target, address: string): Target {
  return {
    name: inner.name,
    discover: (options) => inner.discover(options),
    async connect(info, options) {
      const path = await inner.connect(info, options)
      return info.id.includes(address) ? forward(path, { close: async () => {} }) : path
    },
    close: (options) => inner.close(options),
  }
}

// Longer than the host needs to miss it, so that it is there to be reset.
const RESET: SceneOptions = { array: { minKeepAlive: 8000 } }
const TIME: SceneOptions = { array: { crossResets: 0 } }

/**
 * The proxy keeps a write on its way; its path is missed, or given up, the write moves, and is overwritten; then the proxy
 * delivers.
 */
async function deliverLate(scene: Scene, from: number, giveUp = false): Promise<number> {
  const { proxy, array } = scene
  const { user } = scene.pair
  await user.write(0, Buffer.alloc(SIZE))
  if (from === 0) proxy.hold('up')
  else proxy.atByte(from, 'up', () => proxy.hold('up'))
  const old = user.write(0, Buffer.alloc(SIZE, OLD))
  await expect.poll(() => Math.max(...proxy.connections.map(({ held }) => held.up)), patient).toBeGreaterThan(SIZE / 4)
  const path = scene.pair.paths.find(({ id }) => id.includes(proxy.address))!
  if (giveUp) await scene.pair.failPath(path.id)
  await old
  await user.write(0, Buffer.alloc(SIZE, NEW))
  expect(scene.stored()).toBe(NEW)
  proxy.release('up')
  // Delivered, or nobody is there to take it.
  const passed = (): boolean => proxy.connections.every(({ held, targetGone }) => targetGone || held.up === 0)
  await expect.poll(passed, patient).toBe(true)
  scene.pair.restorePath(path.id)
  await expect.poll(() => scene.pair.paths.map(({ state }) => state), patient).toEqual(['up', 'up'])
  await user.flush()
  expect(array.violations).toEqual([])
  return scene.stored()
}

// Before the command; behind its header; in the middle of its data, as far as that is sent unasked.
const places = [0, 72, 72 + 4096]

describe.each<[string, SceneOptions, string]>([
  ['a cross-controller reset', RESET, 'cross-controller reset'],
  ['time', TIME, 'time'],
])('fenced by %s', (_name, options, by) => {
  it.each(places)(
    'a write that the network delivers late, from byte %i on, does not undo a newer one',
    async (from) => {
      await using scene = await openScene({ array: { ...options.array, inCapsuleData: 131_072 } })
      expect(await deliverLate(scene, from)).toBe(NEW)
      expect(scene.fence).toBe(by)
    },
  )
})

it.each(places)('without the fence it does, from byte %i on: the test before can fail', async (from) => {
  const host = { keepAliveTimeout: 30_000 }
  await using scene = await openScene({ fences: false, host, array: { inCapsuleData: 131_072 } })
  expect(await deliverLate(scene, from, true)).toBe(OLD)
})

/** A write of a client that the array holds, the path lost, the write moved and overwritten, and the old one executed. */
async function executeLate(scene: Scene, lose: (scene: Scene) => void): Promise<number> {
  const { array, pair } = scene
  const hold: NvmeHold = array.faults.command({ port: 0, opcode: WRITE, holds: true })
  const session = await startQemuIo(pair.kernel.node)
  try {
    await session.ask('aio_write -P 1 0 64k')
    await expect.poll(() => hold.held, patient).toBeGreaterThan(0)
    lose(scene)
    await session.ask('aio_flush')
    await session.ask('write -P 2 0 64k')
    hold.release()
    expect(await session.ask('read -P 2 0 64k')).not.toMatch(/failed/)
    await new Promise((resolve) => setTimeout(resolve, 100))
    return scene.stored()
  } finally {
    await session.kill()
  }
}

const resetPort = ({ array }: Scene, queue?: number): void => {
  for (const controller of array.controllers) if (controller.port === 0) controller.reset(queue)
}

it.each<[string, SceneOptions, (scene: Scene) => void]>([
  ['controller disabled', {}, (scene) => resetPort(scene, 1)],
  ['cross-controller reset', RESET, (scene) => resetPort(scene)],
  ['time', TIME, (scene) => resetPort(scene)],
])('a write of qemu-io that the array executes late does not undo a newer one: %s', async (by, options, lose) => {
  await using scene = await openScene(options)
  expect(await executeLate(scene, lose)).toBe(NEW)
  expect(scene.fence).toBe(by)
})

it.each<[string, SceneOptions, (scene: Scene) => void]>([
  ['disabled', { array: { fences: { disable: false } } }, (scene) => resetPort(scene, 1)],
  ['reset', { array: { ...RESET.array, fences: { crossReset: false } } }, (scene) => resetPort(scene)],
  ['missed', { array: { ...TIME.array, fences: { keepAlive: false } } }, (scene) => resetPort(scene)],
])('where a controller goes on that was %s it does: the test before can fail', async (_name, options, lose) => {
  await using scene = await openScene(options)
  const { array, pair } = scene
  const hold = array.faults.command({ port: 0, opcode: WRITE, holds: true })
  const old = pair.user.write(0, Buffer.alloc(SIZE, OLD))
  await expect.poll(() => hold.held, patient).toBeGreaterThan(0)
  lose(scene)
  await old
  await pair.user.write(0, Buffer.alloc(SIZE, NEW))
  hold.release()
  await expect.poll(() => scene.stored(), patient).toBe(OLD)
})
