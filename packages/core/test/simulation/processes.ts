import type { MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import type { KillableHost, ProcessLedger } from '@blockbraid/testkit'
import { killableHost } from '@blockbraid/testkit'
import type { BlockDevice, BlockDevicePair, HostAgent, Transport } from '../../src/index.ts'
import { BlockError, createEmitter, createHostAgent, delay } from '../../src/index.ts'
import { policy } from './policies.ts'
import { trace, type World } from './world.ts'

/** One life of the agent: all that ends with it. */
export interface Process {
  readonly number: number
  readonly host: KillableHost
  readonly target: MemoryTarget
  readonly ledger: ProcessLedger
  readonly agent: HostAgent
  pair: BlockDevicePair | undefined
  /** What clients submit to; undefined until the volume is open, and once the process is on its way out. */
  device: BlockDevice | undefined
}

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
  const ledger = world.ledger.process(`process ${number}`)
  const targets = [seams.target?.(target) ?? target]
  const agent = createHostAgent({ targets, host, ledger: seams.ledger?.(ledger) ?? ledger })
  const process: Process = { number, host, target, ledger, agent, pair: undefined, device: undefined }
  world.process = process
  void open(world, process)
  return process
}

async function open(world: World, process: Process): Promise<void> {
  const { agent, host } = process
  const volume = world.array.volumes[0]!.id
  const create = policy(world, world.kinds.has('meddling'))
  const selector = world.seams.selector?.(create) ?? create
  while (world.process === process) {
    try {
      const pair = await agent.pair({ name: 'volume', device: volume, selector, transport, multipath })
      process.pair = pair
      pair.events.on('cacheLost', (x) => trace(host.clock.now(), 'heard', JSON.stringify(x)))
      pair.events.on('path', (x) => trace(host.clock.now(), x.id, x.state, x.reason))
      if (world.process !== process) return
      process.device = world.seams.device?.(pair.user, pair) ?? pair.user
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
  world.process = undefined
  process.device = undefined
  end(process)
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
  await closeAgent(process, hurry.signal)
  timer.cancel()
  end(process)
}

/** Closes all; that a last flush fails is no fault of the agent. */
export async function closeAgent({ agent }: Process, signal?: AbortSignal): Promise<void> {
  await agent.close(signal === undefined ? {} : { signal }).catch((error: unknown) => {
    if (!BlockError.is(error)) throw error
  })
}

function end({ host, target, ledger }: Process): void {
  host.kill()
  target.kill()
  ledger.end()
}
