import type { Access } from '@blockbraid/core'
import { randomInt } from '@blockbraid/testkit'
import { killProcess, retireProcess } from './processes.ts'
import type { World } from './world.ts'
import { PORTS, pick } from './world.ts'

const ACCESS: readonly Access[] = ['optimized', 'non-optimized', 'standby', 'transitioning', 'unavailable']

type Act = readonly [name: string, act: () => void]

/** Does something bad, or undoes it, as the seed draws. */
export function disturb(world: World): void {
  const acts =
    world.kind === 'late'
      ? lateOnes(world)
      : [...ofNetwork(world), ...ofArrays(world), ...ofStorage(world), ...ofHost(world)]
  const [name, act] = pick(world.host.random, acts)
  world.acts.push(`${Math.round(world.host.clock.now() / 1000)} ms: ${name}`)
  act()
}

/** Writes stay in the network or in the array while the host goes on without them, and come when they may. */
function lateOnes(world: World): Act[] {
  const { net, storage, addresses, host } = world
  const { random, clock } = host
  const at = pick(random, addresses)
  const port = randomInt(random, PORTS)
  const later = (act: () => void): void => void clock.after(250 + randomInt(random, 500), act)
  const kill = (): void => void clock.after(randomInt(random, 20), () => killProcess(world, randomInt(random, 10)))
  const hang = (): void => {
    storage.hang(port)
    later(() => storage.release(port))
  }
  const darken = (): void => {
    net.dark(at, ['to'], true)
    later(() => net.dark(at, ['to'], false))
  }
  return [
    [`nothing comes to ${at} for a while`, darken],
    [
      `disk of port ${port} hangs, and the path is lost`,
      () => {
        hang()
        clock.after(10, () => net.cut(at, 'reset', true))
      },
    ],
    [
      `disk of port ${port} hangs, and the agent is killed`,
      () => {
        hang()
        kill()
      },
    ],
    [
      `nothing comes to ${at}, and the agent is killed`,
      () => {
        darken()
        kill()
      },
    ],
  ]
}

function ofNetwork({ net, addresses, host }: World): Act[] {
  const { random } = host
  const at = pick(random, addresses)
  const side = random() < 0.5 ? ('to' as const) : ('from' as const)
  const ms = randomInt(random, 120)
  return [
    [`${at} reset`, () => net.cut(at, 'reset')],
    [`${at} ends`, () => net.cut(at, 'end')],
    [`${at} all reset`, () => net.cut(at, 'reset', true)],
    [`${at} is a black hole`, () => net.dark(at, ['to', 'from'], true)],
    [`${at} is a black hole`, () => net.dark(at, ['to', 'from'], true)],
    [`nothing comes ${side} ${at}`, () => net.dark(at, [side], true)],
    [`${at} is lit`, () => net.dark(at, ['to', 'from'], false)],
    [`${at} is lit`, () => net.dark(at, ['to', 'from'], false)],
    [`${at} is lit`, () => net.dark(at, ['to', 'from'], false)],
    [
      `${at} is a black hole for ${8 * ms} ms`,
      () => {
        net.dark(at, ['to', 'from'], true)
        host.clock.after(8 * ms, () => net.dark(at, ['to', 'from'], false))
      },
    ],
    [`${at} refuses`, () => net.answer(at, 'refused')],
    [`${at} is silent`, () => net.answer(at, 'silent')],
    [`${at} is open`, () => net.answer(at, 'open')],
    [`${at} is open`, () => net.answer(at, 'open')],
    [`${at} takes ${ms} ms`, () => net.slow(at, ms)],
    [`${at} is quick`, () => net.slow(at, 0)],
    [`${at} is narrow`, () => net.narrow(at, 256 + randomInt(random, 4096))],
  ]
}

function ofArrays({ iscsi, nvme, host, storage }: World): Act[] {
  const { random, clock } = host
  const number = randomInt(random, PORTS)
  const portals = [...(iscsi?.portals ?? []), ...(nvme?.ports ?? [])]
  const portal = pick(random, portals)
  const bounce = (all: typeof portals): void => {
    for (const one of all) {
      void one.down()
      clock.after(randomInt(random, 60), () => void one.up().catch(() => {}))
    }
  }
  const acts: Act[] = [
    [`${portal.address} is restarted`, () => bounce([portal])],
    ['all portals are restarted', () => bounce(portals)],
  ]
  if (iscsi !== undefined) {
    acts.push(['a unit attention: LUN reset', () => iscsi.attention('all', 0x29_03)])
    acts.push(['a unit attention: capacity', () => iscsi.attention('all', 0x2a_09)])
    acts.push([
      'the command window closes for a moment',
      () => {
        iscsi.setWindowOpen(false)
        clock.after(randomInt(random, 80), () => iscsi.setWindowOpen(true))
      },
    ])
  }
  if (nvme !== undefined) {
    const controllers = nvme.controllers
    if (controllers.length > 0) {
      const controller = pick(random, controllers)
      acts.push([`controller ${controller.id} fails`, () => controller.fail()])
      if (controller.queues.length > 0)
        acts.push([
          `controller ${controller.id} loses a queue`,
          () => controller.reset(pick(random, controller.queues)),
        ])
    }
  }
  const access = pick(random, ACCESS)
  acts.push([`port ${number} is ${access}`, () => storage.setAccess('all', { port: number }, access)])
  acts.push(['all is optimized', () => storage.setAccess('all', 'all', 'optimized')])
  return acts
}

function ofStorage({ storage, host }: World): Act[] {
  const { random } = host
  const port = randomInt(random, PORTS)
  return [
    [`disk of port ${port} hangs`, () => storage.hang(port)],
    [`disk of port ${port} hangs`, () => storage.hang(port)],
    [`disk of port ${port} goes on`, () => storage.release(port)],
    [`disk of port ${port} goes on`, () => storage.release(port)],
    [`disk of port ${port} is slow`, () => storage.slow(port, randomInt(random, 60_000))],
    [`port ${port} is down`, () => storage.portDown(port)],
    [`port ${port} is up`, () => storage.portUp(port)],
    [`port ${port} is up`, () => storage.portUp(port)],
  ]
}

function ofHost(world: World): Act[] {
  const { process, storage } = world
  const { random, clock } = world.host
  const ms = randomInt(random, 60)
  const acts: Act[] = [
    ['the agent is killed', () => killProcess(world, ms)],
    [
      'the disks hang, the agent is killed, and the disks go on later',
      () => {
        for (let port = 0; port < PORTS; port++) {
          storage.hang(port)
          clock.after(ms + randomInt(random, 400), () => storage.release(port))
        }
        clock.after(randomInt(random, 20), () => killProcess(world, ms))
      },
    ],
    ['the agent is taken over', () => void retireProcess(world, 2 * ms).catch(world.fail)],
  ]
  const paths = process?.pair?.paths ?? []
  if (paths.length > 0) {
    const { id } = pick(random, paths)
    acts.push([`${id} is taken out`, () => void process?.pair?.failPath(id).catch(() => {})])
    acts.push([`${id} is let back`, () => process?.pair?.restorePath(id)])
  }
  return acts
}

/** The cache of the storage is lost; what was not durable may be gone. */
export function loseCache(world: World): void {
  world.losses++
  for (const history of world.histories) history.cacheLost(world.losses)
  world.storage.loseCache(0)
}

/** Everything works again. */
export function heal(world: World): void {
  const { net, storage, iscsi, nvme, process } = world
  net.heal()
  iscsi?.setWindowOpen(true)
  for (const portal of [...(iscsi?.portals ?? []), ...(nvme?.ports ?? [])]) void portal.up().catch(() => {})
  for (let port = 0; port < PORTS; port++) {
    storage.portUp(port)
    storage.release(port)
    storage.slow(port, 0)
  }
  storage.setAccess('all', 'all', 'optimized')
  for (const { id } of process?.pair?.paths ?? []) process?.pair?.restorePath(id)
}
