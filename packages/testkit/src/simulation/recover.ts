import { IoOp } from '@blockbraid/core'
import { ask } from './clients.ts'
import { pathId } from './faults.ts'
import {
  judgeArray,
  judgeBuffers,
  judgeContents,
  judgeCounters,
  judgeCrash,
  judgeLateness,
  judgeLeaks,
} from './judge-end.ts'
import type { Feature } from './plan.ts'
import { closeAgent } from './processes.ts'
import { removeTwin } from './twin.ts'
import type { World } from './world.ts'

const neverEnds: readonly Feature[] = ['reopens', 'kill', 'takeOver']

// Between two looks, milliseconds.
const LOOK = 1
// By then every server knows that a client has gone, milliseconds.
const LATEST = 1000

/** Everything stops going wrong, and the paths through one port work: then all must end in time. */
export async function recover(world: World): Promise<void> {
  const port = world.plan.seed % world.shape.ports
  stopFaults(world)
  healPort(world, port)
  world.healed = true
  // A fence that sticks holds nothing up for longer; a process that is to end has to wait for it.
  if (!neverEnds.some((feature) => world.has(feature))) {
    // One after the other, as a client sends them.
    const longest = 1 + Math.max(...world.clients.map(({ queue }) => queue.length))
    await within(
      world,
      limitOf(world) * longest,
      () => world.pending === 0,
      () => `${world.pending} requests have not ended, with fences that may stick,`,
    )
    if (world.fault !== undefined) return
  }
  world.array.freeFences()
  await within(
    world,
    limitOf(world),
    () => world.pending === 0,
    () => `${world.pending} requests have not ended`,
  )
  if (world.fault !== undefined) return
  await readAndFlush(world)
  if (world.fault !== undefined) return
  // What a request has left behind, such as one that its client did not wait for, has its time too.
  await within(
    world,
    limitOf(world),
    () => settled(world),
    () => `${unfinished(world)} Ios of clients that have gone are not done`,
  )
  if (world.fault !== undefined) return
  // And so has what core asks for itself, such as the flush of a cache that was switched off.
  await within(
    world,
    limitOf(world),
    () => waiting(world) === 0,
    () => `${waiting(world)} Ios wait, with none of a client under way,`,
  )
  if (world.fault !== undefined) return
  for (const process of world.processes) if (process !== undefined) judgeCounters(world, process)
  judgeCrash(world)
  await close(world)
}

function stopFaults(world: World): void {
  const { array, muted, shape } = world
  array.heal()
  muted.clear()
  for (let port = 0; port < shape.ports; port++) array.slow(port, 0)
  removeTwin(world)
  for (const process of world.processes) for (const served of process?.served ?? []) served?.pair.setRates(undefined)
  for (let volume = 0; volume < shape.volumes; volume++) {
    array.change(volume, { readOnly: false })
    array.protect(volume, 'all', false)
  }
}

function healPort({ array, processes, shape }: World, port: number): void {
  array.portUp(port)
  array.release(port)
  array.setAccess('all', { port }, 'optimized')
  for (let volume = 0; volume < shape.volumes; volume++) {
    const at = array.ports[port]!.luns.find(({ lun }) => lun === volume)
    if (at === undefined) array.map(volume, port, volume)
    else if (at.volume !== array.volumes[volume]!.id) array.reuseLun(port, volume, volume)
    for (const process of processes) {
      const pair = process?.served[volume]?.pair
      if (pair === undefined) continue
      // Also one that is about to be taken out; who looked while the volume was away does not know it any more.
      if (pair.paths.some(({ id }) => id === pathId(port, volume))) pair.restorePath(pathId(port, volume))
      else void process?.agent.rescan().catch(() => {})
    }
  }
}

/** How long everything may take once a path works, milliseconds, by the options of the devices. */
function limitOf({ shape, begun, pending }: World): number {
  const { ioTimeout, flushTimeout, trimTimeout, zeroTimeout, noPathTimeout, ...of } = shape.multipath
  const longest = Math.max(ioTimeout, flushTimeout, trimTimeout, zeroTimeout) * 1.25
  const connect = of.connectTimeout + of.reconnectDelayMax
  // A process that has taken over looks for the proofs that the one before owes in rounds.
  const rounds = begun > shape.hosts ? 1000 : 0
  // One after the other, in pieces, where there is no room for more.
  const pieces = 3 + Math.ceil((shape.blocks * shape.blockSize) / shape.maxTransfer)
  const backlog = (pending * pieces * (shape.latency.base + shape.latency.jitter)) / 1000
  return backlog + 2 * longest + noPathTimeout + 2 * connect + shape.fenceDelay / 500 + rounds
}

async function within(world: World, limit: number, done: () => boolean, what: () => string): Promise<void> {
  const { clock } = world.host
  const end = clock.now() + limit * 1000
  while (!done() && world.fault === undefined) {
    if (clock.now() >= end) return world.fail(`${what()} ${limit} ms after one path was healed`)
    await new Promise<void>((resolve) => clock.after(LOOK, resolve))
  }
}

async function readAndFlush(world: World): Promise<void> {
  const { clients, host, shape } = world
  const ended = (): boolean => world.pending === 0
  const missing = (): string => `${world.pending} reads and flushes have not ended`
  for (const { number } of clients)
    ask(world, { do: 'io', at: 0, client: number, op: IoOp.Read, first: 0, count: shape.blocks, fua: false })
  await within(world, limitOf(world), ended, missing)
  // What a client that has gone was not told, another one is.
  await within(
    world,
    limitOf(world) + LATEST,
    () => world.halfOpen === 0,
    () => `${world.halfOpen} clients have gone, and nobody knows,`,
  )
  // One flush tells of a cache that was lost, and so may others for each path that is up only now and tells of it once
  // more, when it is opened and when it is used; the next one has nothing to tell.
  const rounds = 2 * shape.ports + 2
  for (let round = 1; round <= rounds && world.fault === undefined; round++) {
    world.sound = round === rounds
    for (const { number } of clients)
      ask(world, {
        do: 'io',
        at: host.clock.now() / 1000,
        client: number,
        op: IoOp.Flush,
        first: 0,
        count: 0,
        fua: false,
      })
    await within(world, limitOf(world), ended, missing)
  }
}

const unfinished = (world: World): number => world.late.size

function waiting({ processes }: World): number {
  let count = 0
  for (const process of processes) {
    for (const served of process?.served ?? []) {
      if (served?.device !== undefined) count += served.pair.parked + served.pair.queued
    }
  }
  return count
}

function settled(world: World): boolean {
  return unfinished(world) === 0
}

async function close(world: World): Promise<void> {
  const { clock } = world.host
  const living = world.processes.filter((process) => process !== undefined)
  let closed = 0
  let clean = 0
  for (const process of living) {
    void closeAgent(process).then((well) => {
      closed++
      if (well) clean++
    }, world.fail)
  }
  await within(
    world,
    limitOf(world),
    () => closed === living.length,
    () => `${living.length - closed} agents are not closed`,
  )
  if (world.fault !== undefined) return
  // What the array owes to paths that were closed, and what was deferred.
  await new Promise<void>((resolve) =>
    clock.after(5 + 3 * world.shape.ledgerDelay + world.shape.fenceDelay / 1000, resolve),
  )
  if (clean === living.length) {
    const now = ++world.moment
    for (const { registers, losses } of world.volumes)
      for (const register of registers) register.flushed(now, () => losses)
  }
  judgeCrash(world)
  for (const process of living) judgeLeaks(world, process)
  judgeArray(world)
  judgeLateness(world)
  judgeContents(world)
  judgeBuffers(world)
}
