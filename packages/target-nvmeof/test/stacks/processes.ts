import type { BlockDevicePair, Target, Transport } from '@blockbraid/core'
import { BlockError, createEmitter, createHostAgent } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { killableHost } from '@blockbraid/testkit'
import { nvmeof } from '../../src/index.ts'
import { counted } from './counted.ts'
import type { Process, World } from './world.ts'
import { bytesOf, ISCSI, NVME, pause, SUBSYSTEM, TARGET } from './world.ts'

// Times are milliseconds, short so that a schedule of a second has many of each.
export const multipath = {
  ioTimeout: 300,
  noPathTimeout: 1500,
  connectTimeout: 400,
  reconnectDelay: 5,
  reconnectDelayMax: 60,
  keepAlive: 60,
  keepAliveTimeout: 60,
}
const iscsiTimes = {
  keepAliveInterval: 100,
  keepAliveTimeout: 100,
  loginTimeout: 200,
  taskTimeout: 150,
  pollInterval: 40,
}
const nvmeTimes = {
  keepAliveTimeout: 200,
  quiesceTime: 100,
  connectTimeout: 250,
  commandTimeout: 150,
  pollInterval: 40,
}

const transport: Transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** Begins a process; it opens the volume in its own time. */
export function beginProcess(world: World): void {
  const { net, seams, stack, storage } = world
  const host = killableHost(world.host)
  const network = net.host()
  const time = counted(host)
  const own = { ...time, network, randomBytes: bytesOf(world.host.random) }
  const targets: Target[] = []
  if (stack !== 'nvme') {
    const initiator = 'iqn.2026-11.io.blockbraid:host'
    targets.push(iscsi({ portals: ISCSI, target: TARGET, initiator, name: 'iscsi', ...iscsiTimes }, own))
  }
  if (stack !== 'iscsi') {
    const names = {
      hostNqn: 'nqn.2026-11.io.blockbraid:host',
      hostId: '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34',
      subsystem: SUBSYSTEM,
    }
    targets.push(nvmeof({ portals: NVME, name: 'nvme', ...names, ...nvmeTimes }, own))
  }
  const { id } = storage.volumes[0]!
  const ledger = world.ledger.process(`process ${++world.begun}`)
  const agent = createHostAgent({
    targets: targets.map((target) => seams.target?.(target) ?? target),
    host: time,
    ledger,
    ...(stack === 'both' && { same: [[id, id.replace('naa.', 'eui.')]] }),
  })
  const process: Process = { host, time, network, ledger, targets, agent, pair: undefined, device: undefined }
  world.process = process
  void open(world, process)
}

async function open(world: World, process: Process): Promise<void> {
  const { host } = process
  const { id } = world.storage.volumes[0]!
  const device = world.stack === 'nvme' ? id.replace('naa.', 'eui.') : id
  while (world.process === process) {
    try {
      await process.agent.rescan()
      const pair: BlockDevicePair = await process.agent.pair({ name: 'volume', device, transport, multipath })
      process.pair = pair
      process.device = pair.user
      for (const wake of world.waiting) wake()
      world.waiting.clear()
      return
    } catch (error) {
      if (!BlockError.is(error)) return world.fail(error)
      await pause(host, 20)
    }
  }
}

/** The process is killed: its sockets end as those of a dead process, and another one begins. */
export function killProcess(world: World, after: number): void {
  const { process } = world
  if (process === undefined) return
  process.host.kill()
  world.net.endHost(process.network)
  end(world, process)
  world.host.clock.after(after, () => beginProcess(world))
}

/** The process closes in order, at most so long, and another one takes over. */
export async function retireProcess(world: World, patience: number): Promise<void> {
  const { process } = world
  if (process === undefined) return
  world.process = undefined
  process.device = undefined
  const closed = process.agent.close().catch((error: unknown) => {
    if (!BlockError.is(error)) world.fail(error)
  })
  await Promise.race([closed, pause(world.host, patience)])
  process.host.kill()
  world.net.endHost(process.network)
  end(world, process)
  beginProcess(world)
}

function end(world: World, process: Process): void {
  process.ledger.end()
  process.device = undefined
  if (world.process === process) world.process = undefined
  for (const lost of gone.get(process) ?? []) lost()
  gone.delete(process)
}

/** Whoever waits for an answer of a process. */
export const gone = new WeakMap<Process, Set<() => void>>()
