import { memory } from '@blockbraid/target-memory'
import { forward, killableHost } from '@blockbraid/testkit'
import type { MultipathOptions, Path, Target, Transport } from '../../src/index.ts'
import { BlockError, createEmitter, createHostAgent, delay } from '../../src/index.ts'
import { policy } from './policies.ts'
import { twinTarget } from './twin.ts'
import type { Process, World } from './world.ts'

// Times are milliseconds, short so that a schedule of some hundred has many of each.
const multipath = { ioTimeout: 20, noPathTimeout: 60, connectTimeout: 20, reconnectDelay: 2, reconnectDelayMax: 20 }

const transport: Transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** Begins a process; it opens the volume in its own time. */
export function beginProcess(world: World): Process {
  const { seams, array } = world
  const host = killableHost(world.host)
  const number = ++world.begun
  const target = memory({ array }, host)
  const heard = hearing(world, target)
  const ledger = world.ledger.process(`process ${number}`)
  const found = world.twin === undefined ? [heard] : [heard, twinTarget(world, world.twin, host)]
  const targets = found.map((each) => seams.target?.(each) ?? each)
  const agent = createHostAgent({ targets, host, ledger: seams.ledger?.(ledger, host) ?? ledger })
  const process: Process = { number, host, target, ledger, agent, pair: undefined, device: undefined }
  world.process = process
  void open(world, process)
  return process
}

/** The same target; the world knows what its paths have heard of lost caches. */
function hearing(world: World, target: Target): Target {
  return {
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
    async connect(info, options) {
      const path = await target.connect(info, options)
      const entry = { port: Number(/port(\d+)/.exec(info.id)![1]), heard: world.losses }
      world.paths.add(entry)
      path.events.on('cacheLost', () => {
        entry.heard = world.losses
      })
      path.events.on('down', () => void world.paths.delete(entry))
      return forward<Path>(path, {
        close(options) {
          world.paths.delete(entry)
          return path.close(options)
        },
      })
    },
  }
}

/** What a device may have beside its times, by chance. */
function optionsOf({ kinds, host }: World): MultipathOptions {
  const hedgeReads = kinds.has('hedging') && host.random() < 0.5
  return kinds.has('bounds') && host.random() < 0.5
    ? { ...multipath, hedgeReads, maxParked: Math.floor(3 * host.random()) }
    : { ...multipath, hedgeReads }
}

async function open(world: World, process: Process): Promise<void> {
  const { agent, host } = process
  const volume = world.array.volumes[0]!.id
  const create = policy(world, world.kinds.has('meddling'))
  const selector = world.seams.selector?.(create) ?? create
  const options = optionsOf(world)
  while (world.process === process) {
    try {
      const pair = await agent.pair({ name: 'volume', device: volume, selector, transport, multipath: options })
      process.pair = pair
      if (world.process !== process) return
      process.device = world.seams.device?.(pair.user, pair, host) ?? pair.user
      // What the array lost before is nobody's to tell any more: news of it does not outlive a process.
      world.newsIsGone()
      world.wake()
      return
    } catch (error) {
      // No path for now; every other error ends the schedule.
      if (!BlockError.is(error)) return world.fail(error)
      await delay(host.clock, 5)
    }
  }
}

/** As SIGKILL. What it has sent stays in the array. */
export function killProcess(world: World, process: Process): void {
  // What it had not flushed is known to the next one only where it leaves a debt of some range.
  for (const history of world.histories) history.forgive(world.losses)
  world.process = undefined
  process.device = undefined
  end(world, process)
  world.disconnectAll()
}

/** It hands over: it closes all, for as long as `patience` milliseconds, and exits. */
export async function retireProcess(world: World, process: Process, patience: number): Promise<void> {
  const { device } = process
  process.device = undefined
  world.process = undefined
  if (device !== undefined) world.disconnectAll((source) => device.abandon?.(source))
  const hurry = new AbortController()
  const timer = world.host.clock.after(patience, () => hurry.abort())
  const clean = await closeAgent(process, hurry.signal)
  // Nobody tells the next one that the last flush has failed.
  if (!clean) for (const history of world.histories) history.forgive(world.losses)
  timer.cancel()
  end(world, process)
}

/** Closes all. That a last flush fails is no fault of the agent; returns whether it has not. */
export async function closeAgent({ agent }: Process, signal?: AbortSignal): Promise<boolean> {
  try {
    await agent.close(signal === undefined ? {} : { signal })
    return signal?.aborted !== true
  } catch (error) {
    if (BlockError.is(error)) return false
    throw error
  }
}

function end(world: World, { host, target, ledger }: Process): void {
  world.paths.clear()
  host.kill()
  target.kill()
  ledger.end()
}
