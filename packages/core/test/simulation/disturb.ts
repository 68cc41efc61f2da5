import { randomInt } from '@blockbraid/testkit'
import type { Access } from '../../src/index.ts'
import { policy } from './policies.ts'
import { beginProcess, killProcess, retireProcess } from './processes.ts'
import { removeTwin, toggleTwin } from './twin.ts'
import type { World } from './world.ts'
import { checkCrash, delayOf, PORTS, pick } from './world.ts'

const ACCESS: readonly Access[] = ['optimized', 'non-optimized', 'standby', 'transitioning', 'unavailable']

/** Does something bad, or undoes it. */
export function disturb(world: World): void {
  const acts = [...common(world)]
  if (world.kinds.has('reconnect'))
    acts.push(
      () => disconnect(world, true),
      () => disconnect(world, true),
    )
  if (world.kinds.has('halfOpen'))
    acts.push(
      () => disconnect(world, false),
      () => disconnect(world, false),
    )
  if (world.kinds.has('kill')) acts.push(() => exchange(world, false))
  if (world.kinds.has('takeOver')) acts.push(() => exchange(world, true))
  if (world.kinds.has('cacheLoss')) acts.push(...losses(world))
  if (world.kinds.has('flags'))
    acts.push(
      () => changeFlags(world),
      () => changeFlags(world),
    )
  if (world.kinds.has('twin')) acts.push(() => toggleTwin(world))
  pick(world.host.random, acts)()
}

function common(world: World): (() => void)[] {
  const { array, host } = world
  const { random } = host
  const port = randomInt(random, PORTS)
  const pair = world.process?.pair
  const path = `memory:array0/port${port}/lun0`
  return [
    () => array.portDown(port),
    () => array.portDown(port),
    () => array.portUp(port),
    () => array.portUp(port),
    () => array.hang(port),
    () => array.hang(port),
    () => array.release(port),
    () => array.slow(port, randomInt(random, 10_000)),
    () => array.setAccess('all', { controller: port & 1 }, pick(random, ACCESS)),
    () => array.setAccess('all', { port }, 'optimized'),
    () => void pair?.failPath(path).catch(() => {}),
    () => pair?.restorePath(path),
    () => pair?.setSelector(policy(world, world.kinds.has('meddling'))),
    () => checkCrash(world),
    () => (random() < 0.3 ? array.stickFences() : array.freeFences()),
    () => array.freeFences(),
  ]
}

/** A client loses its connection. Its server knows at once, or later, or never. */
function disconnect(world: World, atOnce: boolean): void {
  const { random, clock } = world.host
  const all = [...world.connections]
  if (all.length === 0) return
  const connection = pick(random, all)
  const { source, process } = connection
  connection.lose()
  world.left.add(connection.client)
  // Its old connection is the one that is told, as long as the server takes it for a client.
  if (!atOnce) world.clients[connection.client]!.told = world.losses
  const abandon = (): void => process.device?.abandon?.(source)
  if (atOnce) abandon()
  else if (random() < 0.7) clock.after(randomInt(random, 60), abandon)
}

/** Another process takes the place of the one that serves. */
function exchange(world: World, planned: boolean): void {
  const { process, host } = world
  if (process === undefined) return
  const pause = randomInt(host.random, 10)
  const next = (): Promise<void> => delayOf(host, pause).then(() => void beginProcess(world))
  if (planned) void retireProcess(world, process, randomInt(host.random, 40)).then(next, world.fail)
  else {
    killProcess(world, process)
    void next()
  }
}

function losses(world: World): (() => void)[] {
  const { array, host } = world
  const lose = (act: () => void): void => {
    world.losses++
    for (const history of world.histories) history.cacheLost(world.losses)
    act()
  }
  return [
    () => {
      const late = lateOnes(world)
      if (late !== undefined) lose(() => array.loseCache(0, { late }))
    },
    () => {
      lose(() => array.powerLoss())
      host.clock.after(randomInt(host.random, 20), () => array.powerOn())
    },
  ]
}

/**
 * Ports whose paths hear late; undefined where no cache may be lost now. Of losses that a path has not heard of it tells
 * once, and one that connects says only that there was one: core cannot tell them apart unless some path hears each.
 */
function lateOnes({ array, host, paths, losses: heard }: World): number[] | undefined {
  const living = [...paths]
  if (living.some((path) => path.heard < heard)) return undefined
  const well = living.map(({ port }) => port).filter((port) => array.ports[port]!.up && !array.ports[port]!.hung)
  if (well.length === 0) return living.length === 0 ? [] : undefined
  return well.slice(1).filter(() => host.random() < 0.5)
}

function changeFlags(world: World): void {
  const { array, host } = world
  const { random } = host
  const flag = pick(random, ['readOnly', 'protect', 'writeCache', 'fua', 'trim', 'writeZeroes', 'size'] as const)
  if (flag === 'protect') {
    const port = randomInt(random, PORTS)
    array.protect(0, port, true)
    return void host.clock.after(randomInt(random, 60), () => array.protect(0, port, false))
  }
  if (flag === 'size') return array.change(0, { size: (48 + randomInt(random, 64)) * 1024 })
  const before = array.volumes[0]![flag]
  if (flag === 'writeCache') {
    // News of a cache that is off by the time it comes is taken for none.
    if (![...world.paths].some(({ heard }) => heard === world.losses)) return
  }
  world.switched++
  array.change(0, { [flag]: !before })
  if (flag === 'readOnly') host.clock.after(5, () => array.change(0, { readOnly: false }))
}

/** Everything works again. */
export function heal(world: World): void {
  const { array, process } = world
  removeTwin(world)
  array.freeFences()
  array.change(0, { readOnly: false })
  array.protect(0, 'all', false)
  array.setAccess('all', 'all', 'optimized')
  for (let port = 0; port < PORTS; port++) {
    array.portUp(port)
    array.release(port)
    array.slow(port, 0)
  }
  for (const { id } of process?.pair?.paths ?? []) process?.pair?.restorePath(id)
}
