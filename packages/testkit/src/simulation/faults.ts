import { forget, lose } from './clients.ts'
import { judgeCrash } from './judge-end.ts'
import type { FaultEvent, VolumeFlag } from './plan.ts'
import { beginProcess, killProcess, policyOf, reopen, retireProcess } from './processes.ts'
import { toggleTwin } from './twin.ts'
import type { World } from './world.ts'

/** The id of a path of the simulated array. */
export function pathId(port: number, volume: number): string {
  return `memory:array0/port${port}/lun${volume}`
}

/** Does what a schedule says. */
export function happen(world: World, event: FaultEvent): void {
  const { array } = world
  switch (event.do) {
    case 'port down':
      return array.portDown(event.port)
    case 'port up':
      return array.portUp(event.port)
    case 'hang':
      return array.hang(event.port)
    case 'release':
      return array.release(event.port)
    case 'mute':
      return void world.muted.add(event.port)
    case 'unmute':
      return void world.muted.delete(event.port)
    case 'slow':
      return array.slow(event.port, event.extra)
    case 'errors':
      return void array.fail({ port: event.port, rate: event.rate, status: event.status })
    case 'mend':
      return array.heal()
    case 'access':
      return array.setAccess(
        'all',
        event.port === undefined ? { controller: event.controller } : { port: event.port },
        event.access,
      )
    case 'unmap':
    case 'remap':
    case 'map back':
      return map(world, event)
    case 'fences stick':
      return array.stickFences()
    case 'fences free':
      return array.freeFences()
    case 'crash check':
      return judgeCrash(world)
    case 'lose cache':
      return loseCache(world, event.volume, event.late, event.unheard)
    case 'power loss':
      return losePower(world, event.off)
    case 'size':
      return array.change(event.volume, { size: event.size })
    case 'flag':
      return changeFlag(world, event.volume, event.flag)
    case 'protect':
      array.protect(event.volume, event.port, true)
      return void world.host.clock.after(event.time, () => array.protect(event.volume, event.port, false))
    case 'twin':
      return toggleTwin(world)
    case 'disconnect':
      return disconnect(world, event.client, event.known)
    default:
      return onHost(world, event)
  }
}

type OnHost = Extract<FaultEvent, { readonly host: number }>

function onHost(world: World, event: OnHost): void {
  const process = world.processes[event.host]
  if (process === undefined) return
  const next = (): void =>
    void world.host.clock.after('pause' in event ? event.pause : 0, () => beginProcess(world, event.host))
  if (event.do === 'kill') {
    killProcess(world, process)
    return next()
  }
  if (event.do === 'hand over') return void retireProcess(world, process, event.patience).then(next, world.fail)
  if (event.do === 'reopen') return void reopen(world, process, event.volume, event.abandons).catch(world.fail)
  const pair = process.served[event.volume]?.pair
  if (pair === undefined || pair.state === 'closed') return
  if (event.do === 'rates') return pair.setRates(event.iops === 0 ? undefined : { iops: event.iops, burst: 1 })
  if (event.do === 'policy') return pair.setSelector(policyOf(world, process, event.policy))
  const id = pathId(event.port, event.volume)
  if (!pair.paths.some((path) => path.id === id)) return
  if (event.do === 'fail path') void pair.failPath(id).catch(() => {})
  else pair.restorePath(id)
}

function map({ array, shape }: World, { do: what, port, volume }: { do: string; port: number; volume: number }): void {
  const id = array.volumes[volume]!.id
  const at = array.ports[port]!.luns.find(({ lun }) => lun === volume)
  if (at?.volume === id) {
    if (what === 'unmap') array.unmap(volume, port)
    // Behind those in use stands one that nobody has opened.
    if (what === 'remap') array.reuseLun(port, volume, shape.volumes)
  } else if (what === 'map back') {
    if (at === undefined) array.map(volume, port, volume)
    else array.reuseLun(port, volume, volume)
  }
}

/** A client loses its connection. Its server knows at once (0), later, or never (below 0). */
function disconnect(world: World, number: number, known: number): void {
  const client = world.clients[number]!
  const { session } = client
  if (session === undefined) return
  const forgotten = lose(world, session, world.has('forgets'))
  world.left.add(number)
  // Its old connection is the one that is told, as long as the server takes it for a client.
  if (known !== 0) client.told = world.volumes[client.volume]!.losses
  const abandon = (): void => {
    if (session.process.served[client.volume]?.device === session.device) session.device.abandon?.(session.source)
  }
  if (known === 0) abandon()
  else if (known > 0) {
    world.halfOpen++
    world.host.clock.after(known, () => {
      world.halfOpen--
      abandon()
    })
  }
  for (const request of forgotten) forget(world, request, known === 0)
}

function lost(world: World, only?: number): void {
  world.moment++
  for (const [volume, state] of world.volumes.entries()) {
    if (only !== undefined && only !== volume) continue
    state.losses++
    for (const register of state.registers) register.cacheLost(state.losses, world.moment)
  }
}

/**
 * Of losses that a path has not heard of it tells once, and one that connects says only that there was one: core cannot
 * tell them apart unless some path hears each.
 */
function loseCache(world: World, volume: number, late: readonly number[], unheard = false): void {
  const { array, processes, volumes } = world
  const living = processes.flatMap((process) => [...(process?.paths ?? [])]).filter((path) => path.volume === volume)
  if (living.some(({ heard }) => heard < volumes[volume]!.losses)) return
  const well = living.map(({ port }) => port).filter((port) => array.ports[port]!.up && !array.ports[port]!.hung)
  if (well.length === 0 && living.length > 0 && !unheard) return
  lost(world, volume)
  const [first] = well
  array.loseCache(volume, { late: late.filter((port) => port !== first) })
}

function losePower(world: World, off: number): void {
  lost(world)
  world.array.powerLoss()
  world.host.clock.after(off, () => world.array.powerOn())
}

function changeFlag(world: World, volume: number, flag: VolumeFlag): void {
  const { array, processes, volumes } = world
  const before = array.volumes[volume]![flag]
  if (flag === 'writeCache') {
    const paths = processes.flatMap((process) => [...(process?.paths ?? [])])
    // News of a cache that is off by the time it comes is taken for none.
    if (!paths.some((path) => path.volume === volume && path.heard === volumes[volume]!.losses)) return
  }
  world.switched++
  if (flag === 'writeCache') volumes[volume]!.cached = !before
  array.change(volume, { [flag]: !before })
  if (flag === 'readOnly') world.host.clock.after(5, () => array.change(volume, { readOnly: false }))
}
