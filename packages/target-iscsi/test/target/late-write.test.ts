import type { IscsiArray } from '@blockbraid/array-iscsi'
import type { MultipathDevice, Target } from '@blockbraid/core'
import { IoOp, OK, openMultipath } from '@blockbraid/core'
import type { ChaosProxy } from '@blockbraid/testkit'
import { createChaosProxy, forward } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { Bed, BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, isPending, run } from './bed.ts'

const OLD = 1
const NEW = 2

interface Wire extends Bed {
  readonly proxy: ChaosProxy
  readonly initiator: Target
}

/** An array of two portals; a proxy stands before the first. */
async function wire(groups: readonly [number, number], options: BedOptions = {}): Promise<Wire> {
  const made = await bed({
    ...options,
    array: { portals: [{ group: groups[0] }, { group: groups[1] }], ...options.array },
  })
  const { host, port } = made.array.portals[0]!
  const proxy = await createChaosProxy({ to: { host, port } })
  afterwards(() => proxy.close())
  const initiator = made.host({
    portals: [proxy.address, made.array.portals[1]!.address],
    toldPortals: false,
    taskTimeout: 300,
    loginTimeout: 500,
  })
  return { ...made, proxy, initiator }
}

async function openDevice({ initiator, proxy }: Wire, target = initiator): Promise<MultipathDevice> {
  const infos = [...(await initiator.discover())]
  expect(infos).toHaveLength(2)
  // The first path takes all I/O.
  infos.sort((one) => (one.address === proxy.address ? -1 : 1))
  const device = await openMultipath(
    infos[0]!.volume,
    infos.map((info) => ({ target, info })),
  )
  afterwards(() => device.close({ signal: AbortSignal.timeout(1000) }))
  expect(device.paths.map(({ state }) => state)).toEqual(['up', 'up'])
  return device
}

const write = (device: MultipathDevice, fill: number) =>
  run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, fill)] })

const held = (proxy: ChaosProxy): number => proxy.connections.reduce((sum, one) => sum + one.held.up, 0)

/** Sends the old bytes to the array, and waits until it has taken them or refused them. */
async function letGo({ proxy, array, storage }: Wire): Promise<number> {
  const { strayBytes } = array.counters
  proxy.release('up')
  const stored = () => storage.peek(0, 0, BLOCK)[0]
  await expect
    .poll(
      () =>
        stored() === OLD ||
        array.counters.strayBytes > strayBytes ||
        proxy.connections.every((one) => one.targetGone || one.held.up === 0),
      { timeout: 5000 },
    )
    .toBe(true)
  // Whatever has reached the array is executed by now.
  await new Promise((resolve) => setTimeout(resolve, 50))
  return stored()!
}

/**
 * A write is swallowed on path A, which is then declared dead; it is done again on B and overwritten by a newer one;
 * then the network lets the old bytes go. Returns what stands on the disk.
 */
async function lateWrite(made: Wire, target = made.initiator): Promise<number> {
  const { proxy } = made
  const device = await openDevice(made, target)
  proxy.hold('up')
  const old = write(device, OLD)
  await expect.poll(() => held(proxy) >= 48 + BLOCK).toBe(true)
  void device.failPath(device.paths[0]!.id)
  expect(await old).toBe(OK)
  expect(await write(device, NEW)).toBe(OK)
  expect(made.storage.peek(0, 0, BLOCK)[0]).toBe(NEW)
  expect(held(proxy)).toBeGreaterThanOrEqual(48 + BLOCK)
  return letGo(made)
}

test('a write that comes late from a dead path changes nothing', async () => {
  const made = await wire([1, 1])
  expect(await lateWrite(made)).toBe(NEW)
  expect(made.array.counters.reinstatements).toBeGreaterThan(0)
  expect(made.array.violations).toEqual([])
})

test('it would, did a login not end the session before it: the test above can fail', async () => {
  expect(await lateWrite(await wire([1, 1], { array: { reinstate: false } }))).toBe(OLD)
})

test('it would, were the path closed without a fence: the test above can fail', async () => {
  const made = await wire([1, 1])
  const { initiator } = made
  const unfenced: Target = {
    name: initiator.name,
    discover: (options) => initiator.discover(options),
    close: (options) => initiator.close(options),
    connect: async (info, options) => {
      const path = await initiator.connect(info, options)
      // Core takes what the path still owes it for ended.
      return forward(path, { close: async () => {} })
    },
  }
  expect(await lateWrite(made, unfenced)).toBe(OLD)
})

test('a path whose portal is dead is fenced through another one of its group', async () => {
  const made = await wire([1, 1])
  const device = await openDevice(made)
  made.proxy.hold('both')
  const old = write(device, OLD)
  await expect.poll(() => held(made.proxy) > 0).toBe(true)
  await device.failPath(device.paths[0]!.id)
  expect(await old).toBe(OK)
  expect(held(made.proxy)).toBeGreaterThan(0)
})

test('without a portal of its group the fence waits for its own', async () => {
  const made = await wire([1, 2])
  const device = await openDevice(made)
  const { proxy, array } = made
  proxy.hold('up')
  const old = write(device, OLD)
  await expect.poll(() => held(proxy) > 0).toBe(true)
  const { accepted } = proxy
  const failed = device.failPath(device.paths[0]!.id)
  await expect.poll(() => proxy.accepted - accepted, { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
  expect(await isPending(failed)).toBe(true)
  expect(await isPending(old)).toBe(true)
  expect(device.parked).toBe(1)
  // Others go on meanwhile.
  expect(await run(device, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  proxy.release('up')
  await failed
  expect(await old).toBe(OK)
  expect(await write(device, NEW)).toBe(OK)
  expect(await letGo(made)).toBe(NEW)
  expect(leftOver(array)).toBe(true)
})

function leftOver({ sessions }: IscsiArray): boolean {
  const names = sessions.filter(({ discovery }) => !discovery).map(({ isid, portal }) => `${isid} ${portal}`)
  return new Set(names).size === names.length
}
