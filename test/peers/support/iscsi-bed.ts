import type { BlockDevicePair, HostAgent, MultipathOptions, PathSelector, Target } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { IscsiOptions } from '@blockbraid/target-iscsi'
import { iscsi } from '@blockbraid/target-iscsi'
import { nbd } from '@blockbraid/transport-nbd'
import type { Folder } from './bed.ts'
import { openFolder } from './bed.ts'

/** What an iSCSI bed is made of. */
export interface IscsiBedOptions extends IscsiOptions {
  /** Changes the target before the agent gets it. */
  readonly wrap?: (target: Target) => Target
  /** @defaultValue round-robin */
  readonly selector?: () => PathSelector
  /** @defaultValue quick to come back */
  readonly multipath?: MultipathOptions
}

/** An agent over iSCSI portals, and a pair `vol-N` exported over NBD for each volume, in the order of LUNs. */
export interface IscsiBed extends AsyncDisposable {
  readonly folder: Folder
  readonly agent: HostAgent
  readonly pairs: readonly BlockDevicePair[]
  /** The pair of the first volume. */
  readonly pair: BlockDevicePair
  /** Its NBD URI. */
  readonly uri: string
}

/** Times that hear of news soon, and take no path for dead on a machine that is busy. */
export const calm = { keepAliveInterval: 300, keepAliveTimeout: 10_000, pollInterval: 300 } as const

/** Times that find a dead path soon. */
export const brisk = { keepAliveInterval: 300, keepAliveTimeout: 1500, pollInterval: 300, taskTimeout: 1000 } as const

export async function openIscsiBed({ wrap, selector, multipath, ...options }: IscsiBedOptions): Promise<IscsiBed> {
  const folder = await openFolder()
  const target = iscsi({ ...calm, loginTimeout: 5000, ...options })
  const agent = createHostAgent({ targets: [wrap?.(target) ?? target] })
  const close = async (): Promise<void> => {
    // Whoever still has I/O in flight after a failed test does not hold the others up.
    try {
      await agent.close({ signal: AbortSignal.timeout(5000) })
    } finally {
      await folder[Symbol.asyncDispose]()
    }
  }
  try {
    const { errors } = await agent.rescan()
    if (errors.length > 0) throw errors[0]!.error
    const transport = nbd({ socket: folder.at('nbd.sock') })
    const volumes = agent.devices().filter(({ kind }) => kind === 'multipath')
    const pairs: BlockDevicePair[] = []
    for (const [number, { id }] of volumes.entries()) {
      pairs.push(
        await agent.pair({
          name: `vol-${number}`,
          device: id,
          selector: selector ?? (() => roundRobin()),
          multipath: multipath ?? { reconnectDelay: 50, reconnectDelayMax: 500 },
          transport,
        }),
      )
    }
    const pair = pairs[0]
    if (pair === undefined) throw new Error('the target shows no volume')
    return { folder, agent, pairs, pair, uri: pair.kernel.node, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** States of the pair's paths, in their order. */
export function states({ paths }: BlockDevicePair): string[] {
  return paths.map(({ state }) => state)
}
