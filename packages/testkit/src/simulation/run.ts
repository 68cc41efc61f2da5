import { BlockRegister } from './block-register.ts'
import { checkParts, WrongPart } from './check-parts.ts'
import { ask } from './clients.ts'
import { swarmHost } from './clock.ts'
import { happen } from './faults.ts'
import type { SwarmParts } from './parts.ts'
import type { Feature, Plan } from './plan.ts'
import { beginProcess } from './processes.ts'
import { recover } from './recover.ts'
import type { Seams } from './seams.ts'
import { createSharedLedger } from './shared-ledger.ts'
import { createTwin, sizeOf } from './twin.ts'
import type { Client, World } from './world.ts'

/** How a schedule has ended. */
export interface Outcome {
  /** What was found; undefined where nothing is wrong. */
  readonly fault: string | undefined
  /** Virtual time of its end, µs. */
  readonly at: number
  /** Ios that clients have sent. */
  readonly ios: number
}

/** Options of {@link runPlan}. */
export interface RunOptions {
  /** A way to break core. */
  readonly seams?: Seams
  /** Lets promises settle; left out: without any help of the machine. */
  readonly turn?: () => Promise<void>
}

// Milliseconds that a schedule may take in all, virtual.
const LIMIT = 600_000

/**
 * Plays a schedule to its end, or to the first fault. The same plan always ends in the same way. Rejects with a TypeError where
 * `parts` are none that it can be played on.
 */
export async function runPlan(plan: Plan, parts: SwarmParts, { seams = {}, turn }: RunOptions = {}): Promise<Outcome> {
  checkParts(plan, parts)
  const world = createWorld(plan, parts, seams, turn)
  const { clock } = world.host
  for (let machine = 0; machine < plan.shape.hosts; machine++) beginProcess(world, machine)
  for (const event of plan.events) {
    clock.after(event.at, () => {
      if (world.healed || world.fault !== undefined) return
      attempt(world, () => (event.do === 'io' ? ask(world, event) : happen(world, event)))
    })
  }
  const length = (plan.events.at(-1)?.at ?? 0) + 1
  let over = false
  clock.after(length, () => {
    const end = (): void => {
      over = true
    }
    recover(world).then(end, world.fail)
  })
  try {
    await clock.runUntil(() => over || world.fault !== undefined, LIMIT)
  } catch (error) {
    world.fail(error)
  }
  if (world.fault instanceof WrongPart) throw world.fault
  return { fault: world.fault?.message, at: clock.now(), ios: world.sent }
}

function attempt(world: World, act: () => void): void {
  try {
    act()
  } catch (error) {
    world.fail(error)
  }
}

function createWorld(plan: Plan, parts: SwarmParts, seams: Seams, turn: (() => Promise<void>) | undefined): World {
  const { shape } = plan
  const host = swarmHost(plan.seed, turn)
  const { blockSize, queueDepth, latency, fenceDelay, controllers, ports } = shape
  const has = (feature: Feature): boolean => plan.features.includes(feature)
  const array = parts.createArray(
    {
      name: 'array0',
      // One more than are in use.
      volumes: Array.from({ length: shape.volumes + 1 }, () => ({ size: sizeOf(shape), blockSize, ...shape.volume })),
      controllers,
      ports,
      queueDepth,
      latency,
      maxTransfer: 4096,
      fenceDelay,
      log: true,
    },
    host,
  )
  for (const [controller, access] of shape.access.entries()) array.setAccess('all', { controller }, access)
  const perVolume = has('shared') ? shape.blocks * shape.hosts : shape.blocks * shape.clients * shape.hosts
  const world: World = {
    plan,
    shape,
    parts,
    seams,
    host,
    array,
    twin: has('twin') ? createTwin(array, parts, shape, host) : undefined,
    ledger: createSharedLedger(host.clock, host.random, shape.ledgerDelay),
    volumes: Array.from({ length: shape.volumes }, () => ({
      registers: Array.from({ length: perVolume }, () => new BlockRegister(0)),
      losses: 0,
      cached: shape.volume.writeCache,
    })),
    clients: clientsOf(plan, has('shared')),
    sessions: new Set(),
    homeless: new Set(),
    processes: Array.from({ length: shape.hosts }),
    muted: new Set(),
    left: new Set(),
    // No change has the number 0, which is that of zeroes.
    stamps: [{ volume: 0, first: 0, changes: [], logged: Number.POSITIVE_INFINITY }],
    poisoned: [],
    late: new Set(),
    begun: 0,
    switched: 0,
    pending: 0,
    sent: 0,
    submitting: false,
    moment: 0,
    healed: false,
    sound: false,
    halfOpen: 0,
    fault: undefined,
    has,
    fail(error) {
      world.fault ??= error instanceof Error ? error : new Error(String(error))
    },
  }
  return world
}

function clientsOf({ shape }: Plan, shared: boolean): Client[] {
  const clients: Client[] = []
  for (let host = 0; host < shape.hosts; host++) {
    for (let volume = 0; volume < shape.volumes; volume++) {
      for (let index = 0; index < shape.clients; index++) {
        const place = shared ? host : host * shape.clients + index
        const base = place * shape.blocks
        const number = clients.length
        clients.push({
          number,
          host,
          volume,
          base,
          session: undefined,
          told: 0,
          busy: 0,
          queue: [],
          spoiled: new Set(),
        })
      }
    }
  }
  return clients
}
