import { Errno, IoOp, messageOf, OK } from '@blockbraid/core'
import type { VirtualHost } from '@blockbraid/testkit'
import { blockValue, perform, step, work } from './clients.ts'
import { disturb, heal, loseCache } from './faults.ts'
import { beginProcess } from './processes.ts'
import type { Kind, Seams, Stack, World } from './world.ts'
import { BLOCK, BLOCKS, CLIENTS, createWorld, pause } from './world.ts'

// How long everything may take to end once all works again, ms: far above the times of the plugins, below a hang.
const RECOVERY = 30_000
// How long it goes on, and how long it is until the next fault in the mean, at least and at most, ms.
const PACES = { all: { length: 700, least: 10, most: 100 }, late: { length: 2000, least: 200, most: 400 } }

/** What a schedule came to. */
export interface Outcome {
  readonly answers: number
  readonly acts: number
}

/** One schedule of failures; throws, with what was done, where something does not hold. */
export async function schedule(
  host: VirtualHost,
  stack: Stack,
  kind: Kind = 'all',
  seams: Seams = {},
): Promise<Outcome> {
  const world = await createWorld(host, stack, kind, seams)
  try {
    await play(world)
    await recover(world)
    await close(world)
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${stack}\n${world.acts.join('\n')}`, { cause: error })
  }
  return { answers: world.answers, acts: world.acts.length }
}

async function play(world: World): Promise<void> {
  const { host } = world
  beginProcess(world)
  await pause(host, 30)
  let over = false
  const clients = Array.from({ length: CLIENTS }, (_, client) => work(world, client, () => over))
  for (const client of clients) client.catch(world.fail)
  const { length, least, most } = PACES[world.kind]
  const rate = least + host.random() * (most - least)
  const cache = host.random() < 0.3
  const until = host.clock.now() + length * 1000
  while (host.clock.now() < until) {
    await Promise.race([pause(host, 2 * rate * host.random()), world.fault])
    disturb(world)
    if (cache && host.random() < 0.1) loseCache(world)
  }
  over = true
  heal(world)
  const ended = Promise.all(clients)
  await bounded(world, ended, 'the requests of the clients')
}

async function bounded<Result>(world: World, work: Promise<Result>, what: string): Promise<Result> {
  const late = pause(world.host, RECOVERY).then(() => {
    const { process } = world
    const paths = (process?.pair?.paths ?? []).map(({ id, state, reason }) => `${id} ${state} ${reason}`)
    throw new Error(`${what} did not end within ${RECOVERY} ms; ${paths.join('; ') || 'no pair'}`)
  })
  return await Promise.race([work, late, world.fault])
}

/** All works, so all must: every path is up, writes go, and what is read is right. */
async function recover(world: World): Promise<void> {
  const { storage, histories } = world
  const isUp = async (): Promise<void> => {
    for (;;) {
      const pair = world.process?.pair
      if (pair !== undefined && pair.paths.length === world.addresses.length) {
        if (pair.paths.every(({ state }) => state === 'up')) return
      }
      await pause(world.host, 20)
    }
  }
  await bounded(world, isUp(), 'the return of the paths')
  for (let client = 0; client < CLIENTS; client++) {
    const all = step(IoOp.Read, client * BLOCKS, BLOCKS, 0, [Buffer.alloc(BLOCKS * BLOCK)])
    const status = await bounded(world, perform(world, all), 'a read of all blocks')
    if (status !== OK) throw new Error(`with every path up, a read ended with errno ${status}`)
  }
  let flushed: number = Errno.EIO
  for (let tries = 0; flushed !== OK && tries < 3; tries++)
    flushed = await bounded(world, perform(world, step(IoOp.Flush, 0, 0)), 'a flush')
  if (flushed !== OK) throw new Error(`with every path up, a third flush ended with errno ${flushed}`)
  // What was held anywhere has come by now.
  await pause(world.host, 1000)
  const image = storage.crashImage(0)
  for (const [block, history] of histories.entries()) {
    const stands = blockValue(storage.peek(0, block * BLOCK, BLOCK), block)
    if (!history.read(stands))
      throw new Error(`in the end block ${block} holds ${stands}, which is none of: ${history}`)
    const kept = blockValue(image.read(block * BLOCK, BLOCK), block)
    if (!history.mayStandAfterCrash(kept)) {
      throw new Error(`after a power loss block ${block} holds ${kept}, which is none of: ${history}`)
    }
  }
}

/** Nothing is left of anything. */
async function close(world: World): Promise<void> {
  const { process, iscsi, nvme, inner, net, arrayTime } = world
  world.process = undefined
  await bounded(world, process!.agent.close(), 'the close of the agent')
  if (process!.time.timers > 0) throw new Error(`${process!.time.timers} timers are left of an agent that has closed`)
  process!.host.kill()
  process!.ledger.end()
  await bounded(world, Promise.all([iscsi?.close(), nvme?.close()]), 'the close of the arrays')
  await bounded(world, inner.close(), 'the close of the storage')
  if (arrayTime.timers > 0) throw new Error(`${arrayTime.timers} timers are left of arrays that have closed`)
  if (net.connections > 0) throw new Error(`${net.connections} connections are left`)
  if (net.held > 0) throw new Error(`${net.held} slabs are held`)
  for (const violation of iscsi?.violations ?? []) throw new Error(`iSCSI: ${violation}`)
  for (const violation of nvme?.violations ?? []) throw new Error(`NVMe: ${violation}`)
  if (world.ledger.size > 0) throw new Error(`${world.ledger.size} debts are left, with all proven`)
}
