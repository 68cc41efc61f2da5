import type { NvmeArray, NvmeArrayOfOptions } from '@blockbraid/array-nvmeof'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import type { Host, Path, Target, VolumeId } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import { nvmeof } from '../../src/index.ts'
import { Holding } from './holding.ts'

/** A simulated array behind NVMe/TCP, and an initiator before it. */
export interface Rig {
  readonly storage: MemoryArray
  readonly array: NvmeArray
  readonly target: Target
  /** Commands through a port, by number, wait inside of the array from now on. */
  hold(port: number): void
  release(port: number): void
  /** Another host before the same array. */
  host(options?: Partial<NvmeofOptions>, process?: Host): Target
  /** The path through a port, by number, to a volume, by number. */
  open(port: number, volume?: number): Promise<Path>
  /** The volume of the storage that a path leads to. */
  volumeOf(path: Pick<Path, 'volume'>): VolumeId
}

export const SUBSYSTEM = 'nqn.2026-11.io.blockbraid:array'
let cleanUps: (() => Promise<unknown>)[] = []

/** Ends what the rigs of a test have left; called after each test. */
export async function cleanUp(): Promise<void> {
  const all = cleanUps.reverse()
  cleanUps = []
  for (const end of all) await end()
}

/** Does it after the test. */
export function afterwards(end: () => Promise<unknown>): void {
  cleanUps.push(end)
}

afterEach(cleanUp)

/** What the array tells of a volume of the storage. */
export function toldOf(volume: VolumeId): VolumeId {
  return volume.startsWith('naa.') ? `eui.${volume.slice(4)}` : volume
}

/** Makes a rig of `options`; everything in it ends with the test. */
export async function rig(
  options: { memory?: MemoryOptions; array?: Partial<NvmeArrayOfOptions>; initiator?: Partial<NvmeofOptions> } = {},
): Promise<Rig> {
  const inner = memory({ volumes: [{ size: '16MiB' }], ports: 2, ...options.memory })
  const targetFor = (host: string): Target => {
    const known = inners.get(host)
    if (known !== undefined) return known
    const made = holding.before(memory({ array: inner.array, initiator: host }))
    inners.set(host, made)
    return made
  }
  const holding = new Holding()
  const addresses = [...new Set((await inner.discover()).map(({ address }) => address))]
  const inners = new Map<string, Target>()
  const array = await nvmeArrayOf(inner, { name: SUBSYSTEM, targetFor, ...options.array })
  cleanUps.push(
    () => inner.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}),
    () => array.close(),
  )
  const host = (more: Partial<NvmeofOptions> = {}, process: Host = systemHost): Target => {
    const made = nvmeof(
      {
        portals: array.ports.map(({ address }) => address),
        subsystem: SUBSYSTEM,
        hostNqn: 'nqn.2026-11.io.blockbraid:host',
        hostId: '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34',
        commandTimeout: 2000,
        connectTimeout: 2000,
        ...options.initiator,
        ...more,
      },
      process,
    )
    cleanUps.push(() => made.close({ signal: AbortSignal.timeout(3000) }).catch(() => {}))
    return made
  }
  const target = host()
  return {
    storage: inner.array,
    array,
    target,
    host,
    hold: (port) => holding.hold(addresses[port] as string),
    release: (port) => holding.release(addresses[port] as string),
    volumeOf({ volume }) {
      const found = inner.array.volumes.find(({ id }) => toldOf(id) === volume)
      if (found === undefined) throw new Error(`no volume is told as ${volume}`)
      return found.id
    },
    async open(port, volume = 0) {
      const { address } = array.ports[port]!
      const id = toldOf(inner.array.volumes[volume]!.id)
      const info = (await target.discover()).find((one) => one.address === address && one.volume === id)
      if (info === undefined) throw new Error(`no path to volume ${volume} through port ${port}`)
      return target.connect(info)
    },
  }
}
