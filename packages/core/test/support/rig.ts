import { virtualHost } from '@blockbraid/testkit'
import type { MultipathDevice, OpenMultipathOptions, PathSelector, PathView } from '../../src/index.ts'
import { Errno, NOT_EXECUTED, openMultipath, PATH_ERROR } from '../../src/index.ts'
import { FakeTarget, VOLUME } from './fake-target.ts'

export * from './fake-target.ts'
export * from './submit.ts'
export { virtualHost }

export const LOST = Errno.EIO | PATH_ERROR
export const REFUSED = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

/** Takes paths in turn: enough of a policy to see what core does with one. */
export function inTurn(): PathSelector {
  let paths: readonly PathView[] = []
  let next = 0
  return {
    name: 'in-turn',
    update: (usable) => void (paths = usable),
    select: () => paths[next++ % paths.length],
  }
}

export interface Rig {
  device: MultipathDevice
  target: FakeTarget
  host: ReturnType<typeof virtualHost>
}

/** The same with a clock that keeps what deferred code throws: as `uncaughtException` would tell a process. */
export async function openGuarded(count: number): Promise<Rig & { thrown: string[] }> {
  const thrown: string[] = []
  const inner = virtualHost(1)
  const clock = {
    ...inner.clock,
    now: () => inner.clock.now(),
    defer: (callback: () => void) =>
      inner.clock.defer(() => {
        try {
          callback()
        } catch (error) {
          thrown.push((error as Error).message)
        }
      }),
  }
  const target = new FakeTarget(count)
  const opening = openMultipath(VOLUME, target.sources, { selector: inTurn, host: { clock, random: inner.random } })
  return { device: await inner.clock.runUntil(opening), target, host: inner, thrown }
}

/** A multipath device over fake paths, in virtual time. */
export async function open(
  count = 4,
  options: OpenMultipathOptions = {},
  target: FakeTarget = new FakeTarget(count),
): Promise<Rig> {
  const host = virtualHost(1)
  const device = await host.clock.runUntil(
    openMultipath(VOLUME, target.sources, { selector: inTurn, host, ...options }),
  )
  return { device, target, host }
}
