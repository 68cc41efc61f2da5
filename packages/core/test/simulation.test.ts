import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import { pattern, randomInt, readStamp, simulate } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { Access, MultipathDevice, Target } from '../src/index.ts'
import { BlockError, Errno, openMultipath, userDevice } from '../src/index.ts'

// Failure schedules in virtual time. Seeds that once found something stay in the list.
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 200)

const BLOCK = 4096
const WORKERS = 6
const BLOCKS = 4
const ACCESS: Access[] = ['optimized', 'non-optimized', 'standby', 'transitioning', 'unavailable']

interface World {
  host: VirtualHost
  array: MemoryArray
  device: MultipathDevice
}

async function openWorld(host: VirtualHost, wrap: (target: Target) => Target): Promise<World> {
  const array = createMemoryArray(
    {
      volumes: [{ size: WORKERS * BLOCKS * BLOCK }],
      ports: 4,
      latency: { base: 200, jitter: 800 },
      fenceDelay: 10_000,
      log: true,
    },
    host,
  )
  const target = wrap(memory({ array }, host))
  const sources = (await target.discover()).map((info) => ({ target, info }))
  const device = await openMultipath(array.volumes[0]!.id, sources, {
    host,
    selector: queueDepth,
    multipath: { ioTimeout: 100, noPathTimeout: 300, reconnectDelay: 5, reconnectDelayMax: 50 },
  })
  return { host, array, device }
}

/** Does something bad, or undoes it. */
function disturb({ array, device, host }: World): void {
  const { random } = host
  const port = randomInt(random, 4)
  const path = device.paths[port]!.id
  const acts: (() => void)[] = [
    () => array.portDown(port),
    () => array.portDown(port),
    () => array.portUp(port),
    () => array.hang(port),
    () => array.hang(port),
    () => array.release(port),
    () => array.slow(port, randomInt(random, 20_000)),
    () => array.setAccess('all', { controller: port & 1 }, ACCESS[randomInt(random, ACCESS.length)]!),
    () => array.setAccess('all', { port }, 'optimized'),
    () => void device.failPath(path),
    () => device.restorePath(path),
    () => device.setSelector(random() < 0.5 ? roundRobin : queueDepth),
  ]
  acts[randomInt(random, acts.length)]!()
}

function heal({ array, device }: World): void {
  array.setAccess('all', 'all', 'optimized')
  for (let port = 0; port < 4; port++) {
    array.portUp(port)
    array.release(port)
    array.slow(port, 0)
  }
  for (const { id } of device.paths) device.restorePath(id)
}

const clockDelay = (host: VirtualHost, milliseconds: number): Promise<void> =>
  new Promise((resolve) => host.clock.after(milliseconds, resolve))

/** Writes and reads blocks of its own, one I/O at a time; knows what each may hold. */
async function work(world: World, number: number, until: () => boolean): Promise<Map<number, Set<number>>> {
  const { host, device } = world
  const user = userDevice(device, host.clock, async () => {})
  // Generations that a block may hold: one after an acknowledged write, more after failed ones.
  const allowed = new Map<number, Set<number>>()
  let generation = 0
  const offset = (block: number): number => (number * BLOCKS + block) * BLOCK
  while (!until()) {
    const block = randomInt(host.random, BLOCKS)
    const before = allowed.get(block) ?? new Set([0])
    const stamp = { seed: number, offset: offset(block), generation: ++generation }
    try {
      if (host.random() < 0.6) {
        allowed.set(block, before.add(generation))
        await user.write(stamp.offset, pattern(BLOCK, stamp), { fua: host.random() < 0.3 })
        allowed.set(block, new Set([generation]))
      } else if (host.random() < 0.1) {
        await user.flush()
      } else {
        const found = readStamp(await user.read(stamp.offset, BLOCK))?.generation ?? 0
        if (!before.has(found)) {
          throw new Error(`worker ${number} block ${block} holds generation ${found}, not ${[...before].join(' or ')}`)
        }
      }
    } catch (error) {
      if (!BlockError.is(error)) throw error
      // The only error an application may see here: no path, or no fence, for too long. It must not
      // write to that block again, since nobody knows when the old write comes.
      if (error.errno !== Errno.EIO) throw error
      return allowed
    }
  }
  return allowed
}

async function schedule(host: VirtualHost, wrap: (target: Target) => Target = (target) => target): Promise<void> {
  const world = await openWorld(host, wrap)
  const end = host.clock.now() + 500_000
  const until = (): boolean => host.clock.now() >= end
  const working = Promise.all(Array.from({ length: WORKERS }, (_, number) => work(world, number, until)))
  // It is awaited below, after the disturbances; until then a fault is not unhandled.
  working.catch(() => {})
  while (!until()) {
    await clockDelay(host, 1 + randomInt(host.random, 20))
    disturb(world)
  }
  heal(world)
  const allowed = await working
  await userDevice(world.device, host.clock, async () => {}).flush()
  await world.device.close()
  // Whatever a dead path still had in the array has had its chance by now.
  await clockDelay(host, 5000)
  for (const [number, blocks] of allowed.entries()) {
    for (const [block, generations] of blocks) {
      const at = (number * BLOCKS + block) * BLOCK
      const found = readStamp(world.array.peek(0, at, BLOCK))?.generation ?? 0
      if (!generations.has(found)) {
        throw new Error(
          `at the end worker ${number} block ${block} holds ${found}, not ${[...generations].join(' or ')}`,
        )
      }
    }
  }
  for (let round = 0; round < 3; round++) expect(world.array.lostWrites(0, world.array.crashImage(0))).toEqual([])
}

it(`no write is lost and none comes late, over ${SEEDS} failure schedules`, async () => {
  await simulate(SEEDS, (host) => schedule(host))
})

/** The same target with paths that settle `close` before the fence: what core must be protected from. */
function unfenced(target: Target): Target {
  return {
    name: target.name,
    discover: (options) => target.discover(options),
    close: (options) => target.close(options),
    async connect(info, options) {
      const path = await target.connect(info, options)
      return {
        id: path.id,
        volume: path.volume,
        events: path.events,
        get access() {
          return path.access
        },
        get limits() {
          return path.limits
        },
        submit: (io) => path.submit(io),
        close: async () => void path.close(),
      }
    },
  }
}

it('finds the fault when the fence is taken away', async () => {
  await expect(simulate(SEEDS, (host) => schedule(host, unfenced))).rejects.toThrow(/holds generation|at the end/)
})
