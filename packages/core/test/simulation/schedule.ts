import type { VirtualHost } from '@blockbraid/testkit'
import { randomInt } from '@blockbraid/testkit'
import { IoOp, OK } from '../../src/index.ts'
import { perform, stepOf, work } from './client.ts'
import { createWorld } from './create-world.ts'
import { disturb, heal } from './disturb.ts'
import type { Kind, Seams } from './kinds.ts'
import { beginProcess, closeAgent } from './processes.ts'
import type { World } from './world.ts'
import { BLOCK, BLOCKS, blockValue, CLIENTS, checkCrash, delayOf } from './world.ts'

// Milliseconds that a schedule disturbs for, virtual.
const LENGTH = 150

/** Runs one schedule; rejects with what was found. */
export async function schedule(host: VirtualHost, kinds: ReadonlySet<Kind>, seams: Seams = {}): Promise<void> {
  const world = createWorld(host, kinds, seams)
  for (let number = 0; number < CLIENTS; number++) world.clients.push({ number, connection: undefined, told: 0 })
  beginProcess(world)
  let over = false
  const working = Promise.all(world.clients.map((client) => work(world, client, () => over)))
  working.catch(world.fail)
  await Promise.race([disturbed(world), world.fault])
  over = true
  heal(world)
  await Promise.race([working, world.fault])
  await verify(world)
}

async function disturbed(world: World): Promise<void> {
  const { clock, random } = world.host
  const end = clock.now() + LENGTH * 1000
  while (clock.now() < end) {
    await delayOf(world.host, 1 + randomInt(random, 8))
    disturb(world)
  }
}

/** Whatever was left behind has its chance; then all must stand as it was promised. */
async function verify(world: World): Promise<void> {
  const { host, clients, array } = world
  // Where nothing may wait, paths have to be there first.
  if (world.kinds.has('bounds')) await delayOf(host, 1000)
  for (const client of clients) {
    await perform(world, client, stepOf(IoOp.Read, client.number * BLOCKS, BLOCKS, 0, [Buffer.alloc(BLOCKS * BLOCK)]))
    // One flush tells of a cache that was lost; the next one has nothing to tell.
    const flush = stepOf(IoOp.Flush, 0, 0, 0, [])
    for (let tries = 0; (await perform(world, client, flush)) !== OK; tries++) {
      if (tries === 2) throw new Error(`client ${client.number}: flushes fail, with nothing wrong any more`)
    }
  }
  checkCrash(world)
  await Promise.race([closeAgent(world.process!), world.fault])
  await delayOf(host, 1000)
  for (const [block, history] of world.histories.entries()) {
    const value = blockValue(array.peek(0, block * BLOCK, BLOCK), block)
    if (!history.read(value)) throw new Error(`in the end block ${block} holds ${value}, which is none of: ${history}`)
  }
  const sound = world.seams.ledger === undefined
  if (sound && world.ledger.size > 0) throw new Error(`${world.ledger.size} debts are left, with all proven`)
}
