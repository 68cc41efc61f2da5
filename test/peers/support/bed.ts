import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockDevicePair, HostAgent, MultipathOptions, PathSelector } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import type { MemoryArray, MemoryArrayOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import type { NbdOptions } from '@blockbraid/transport-nbd'
import { nbd } from '@blockbraid/transport-nbd'

/** A folder that is gone after use. */
export interface Folder extends AsyncDisposable {
  readonly path: string
  /** A file or folder in it. */
  at(name: string): string
}

export async function openFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'blockbraid-peers-'))
  return {
    path,
    at: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

/** What a bed is made of. */
export interface BedOptions {
  /** @defaultValue one volume of 64 MiB, four ports */
  array?: MemoryArrayOptions
  /** @defaultValue queue-depth */
  selector?: () => PathSelector
  /** @defaultValue quick to notice and to come back */
  multipath?: MultipathOptions
  /** @defaultValue a unix socket in the bed's folder */
  listen?: NbdOptions
}

/** A simulated array, an agent, and a pair `vol-N` exported over NBD for each volume. */
export interface Bed extends AsyncDisposable {
  readonly folder: Folder
  readonly array: MemoryArray
  readonly agent: HostAgent
  readonly pairs: readonly BlockDevicePair[]
  /** The pair of the first volume. */
  readonly pair: BlockDevicePair
  /** Its NBD URI. */
  readonly uri: string
}

/** Times that let a test see many failures in seconds. */
export const quick: MultipathOptions = { ioTimeout: 300, reconnectDelay: 10, reconnectDelayMax: 100 }

export async function openBed(options: BedOptions = {}): Promise<Bed> {
  const folder = await openFolder()
  const target = memory(options.array)
  const agent = createHostAgent({ targets: [target] })
  const close = async (): Promise<void> => {
    // Whoever still has I/O in flight after a failed test does not hold the others up.
    try {
      await agent.close({ signal: AbortSignal.timeout(5000) })
    } finally {
      await folder[Symbol.asyncDispose]()
    }
  }
  try {
    const transport = nbd(options.listen ?? { socket: folder.at('nbd.sock') })
    const pairs: BlockDevicePair[] = []
    for (const [number, { id }] of target.array.volumes.entries()) {
      pairs.push(
        await agent.pair({
          name: `vol-${number}`,
          device: id,
          description: `volume ${number}`,
          selector: options.selector ?? queueDepth,
          multipath: options.multipath ?? quick,
          transport,
        }),
      )
    }
    const pair = pairs[0]!
    return { folder, array: target.array, agent, pairs, pair, uri: pair.kernel.node, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
