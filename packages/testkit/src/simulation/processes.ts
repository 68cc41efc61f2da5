import type { BlockDevicePair, PathSelector, Transport } from '@blockbraid/core'
import { BlockError, createEmitter, createHostAgent, delay } from '@blockbraid/core'
import { madeBy, policyOfNumber } from './check-parts.ts'
import { house, lose } from './clients.ts'
import { processHost } from './clock.ts'
import { meddling } from './meddling.ts'
import { twinTarget } from './twin.ts'
import { watched } from './watched-target.ts'
import type { Process, Session, World } from './world.ts'

// Milliseconds between two tries to open a volume.
const AGAIN = 5

const transport: Transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** Begins a process on a host; it opens its volumes in its own time. */
export function beginProcess(world: World, machine: number): void {
  if (world.processes[machine] !== undefined || world.fault !== undefined) return
  const host = processHost(world.host, world.fail)
  const { parts, seams, array, shape } = world
  const number = ++world.begun
  const target = parts.createTarget(array, `host${machine}`, host)
  const found = [watched(world, target, () => process)]
  if (world.twin !== undefined) found.push(twinTarget(world, world.twin, `host${machine}`, host, () => process))
  const targets = found.map((each) => seams.target?.(each) ?? each)
  const ledger = world.ledger.process(`process ${number}`)
  const agent = createHostAgent({ targets, host, ledger: seams.ledger?.(ledger, host) ?? ledger })
  const process: Process = {
    number,
    machine,
    host,
    target,
    ledger,
    agent,
    served: [],
    paths: new Set(),
    counts: new Map(),
    ended: false,
  }
  world.processes[machine] = process
  for (let volume = 0; volume < shape.volumes; volume++) void open(world, process, volume)
}

/** The policy of that number, as a pair makes it. */
export function policyOf(world: World, process: Process, number: number): () => PathSelector {
  const policy = policyOfNumber(world.plan, world.parts, number)
  const create = (): PathSelector => madeBy(policy, () => policy.create(process.host))
  const made = world.has('meddling') ? () => meddling(create(), world.host.random) : create
  return world.seams.selector?.(made) ?? made
}

async function open(world: World, process: Process, volume: number): Promise<void> {
  const { agent, host } = process
  const selector = policyOf(world, process, world.shape.policy + volume)
  const device = world.array.volumes[volume]!.id
  const { multipath } = world.shape
  while (world.processes[process.machine] === process) {
    try {
      const pair = await agent.pair({ name: `volume${volume}`, device, selector, transport, multipath })
      if (world.processes[process.machine] !== process) return
      process.served[volume] = { pair, device: world.seams.device?.(pair.user, pair, host) ?? pair.user }
      newsIsGone(world, process.machine, volume)
      house(world)
      return
    } catch (error) {
      // No path for now; every other error ends the schedule.
      if (!BlockError.is(error)) return world.fail(error)
      countAnew(process, volume)
      // Not of the process, whose timers are counted.
      await delay(world.host.clock, AGAIN)
    }
  }
}

// What the array lost before is nobody's to tell any more: news of it does not outlive a device.
function newsIsGone({ clients, left, volumes }: World, machine: number, volume: number): void {
  for (const client of clients) {
    if (client.host !== machine || client.volume !== volume) continue
    client.told = volumes[volume]!.losses
    left.delete(client.number)
  }
}

/** As SIGKILL. What it has sent stays in the array. */
export function killProcess(world: World, process: Process): void {
  // What it had not flushed is known to the next one only where it leaves a debt of some range.
  forgive(world)
  leave(world, process)
  end(world, process)
  for (const session of sessionsOf(world, process)) lose(world, session)
}

/** It hands over: it closes all, for as long as `patience` milliseconds, and exits. */
export async function retireProcess(world: World, process: Process, patience: number): Promise<void> {
  leave(world, process)
  for (const session of sessionsOf(world, process)) {
    lose(world, session)
    session.device.abandon?.(session.source)
  }
  const hurry = new AbortController()
  const timer = world.host.clock.after(patience, () => hurry.abort())
  const clean = await closeAgent(process, hurry.signal)
  // Nobody tells the next one that the last flush has failed.
  if (!clean) forgive(world)
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

/** A pair is closed, and opened again. */
export async function reopen(world: World, process: Process, volume: number, abandons: boolean): Promise<void> {
  const served = process.served[volume]
  if (served?.device === undefined) return
  served.device = undefined
  for (const session of sessionsOf(world, process)) {
    if (session.client.volume !== volume || !abandons) continue
    lose(world, session)
    session.device.abandon?.(session.source)
  }
  if (!(await closePair(served.pair))) forgive(world, volume)
  if (world.processes[process.machine] !== process) return
  for (const session of sessionsOf(world, process)) if (session.client.volume === volume) lose(world, session)
  process.served[volume] = undefined
  countAnew(process, volume)
  await open(world, process, volume)
}

// The paths of another pair have new counters.
function countAnew({ counts }: Process, volume: number): void {
  for (const id of [...counts.keys()]) if (id.endsWith(`/lun${volume}`)) counts.delete(id)
}

async function closePair(pair: BlockDevicePair): Promise<boolean> {
  try {
    await pair.close()
    return true
  } catch (error) {
    if (BlockError.is(error)) return false
    throw error
  }
}

function sessionsOf(world: World, process: Process): Session[] {
  return [...world.sessions].filter((session) => session.process === process)
}

function forgive({ volumes }: World, only?: number): void {
  for (const [volume, { registers, losses }] of volumes.entries()) {
    if (only === undefined || only === volume) for (const register of registers) register.forgive(losses)
  }
}

function leave(world: World, process: Process): void {
  world.processes[process.machine] = undefined
  for (const served of process.served) if (served !== undefined) served.device = undefined
}

function end(world: World, process: Process): void {
  process.ended = true
  for (const send of world.late) if (send.session.process === process) world.late.delete(send)
  process.paths.clear()
  process.host.kill()
  process.target.kill()
  process.ledger.end()
}
