import type { Io, MultipathDevice, PathSelector, Target } from '@blockbraid/core'
import { openMultipath } from '@blockbraid/core'
import type { VirtualHost } from '../time/virtual-clock.ts'
import type { ClosedLoopOptions, ClosedLoopReport } from './closed-loop.ts'
import { closedLoop } from './closed-loop.ts'

/** A load over the paths of a target, as a policy spreads it. */
export interface PolicyLoad {
  /** The device over all paths of the target's first volume. */
  readonly device: MultipathDevice
  /** I/Os that each path has done since the last call of this, by the order of the target's list. */
  shares(): number[]
  /** Runs `count` reads of 4 KiB at 0, or of what `next` makes of them, `depth` at a time. */
  run(count: number, options: { depth: number; next?: ClosedLoopOptions['next'] }): Promise<ClosedLoopReport>
  /** Closes the device. */
  close(): Promise<void>
}

const plainRead = (io: Io): void => {
  io.length = 4096
}

/** Opens a target's first volume in virtual time, under a policy, to see which path gets what. */
export async function policyLoad(host: VirtualHost, target: Target, selector: () => PathSelector): Promise<PolicyLoad> {
  const { clock } = host
  const infos = await clock.runUntil(target.discover())
  const volume = infos[0]?.volume
  if (volume === undefined) throw new Error(`${target.name} has no volume`)
  const sources = infos.filter((info) => info.volume === volume).map((info) => ({ target, info }))
  const device = await clock.runUntil(openMultipath(volume, sources, { selector, host }))
  await clock.runUntil(() => device.paths.every(({ state }) => state !== 'connecting'))
  let before = sources.map(() => 0)
  return {
    device,
    shares() {
      const now = device.paths.map(({ ios }) => ios)
      const since = now.map((ios, index) => ios - (before[index] as number))
      before = now
      return since
    },
    run: (count, { depth, next = plainRead }) =>
      clock.runUntil(closedLoop(device, { clock, depth, next, goesOn: (sent) => sent < count })),
    close: () => clock.runUntil(device.close()),
  }
}
