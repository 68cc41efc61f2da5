import type { IscsiArray, IscsiArrayOfOptions } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { Path, Target } from '@blockbraid/core'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import { Holding } from './holding.ts'

/** A simulated array behind iSCSI, and an initiator before it. */
export interface Rig {
  readonly storage: MemoryArray
  readonly array: IscsiArray
  readonly target: Target
  /** Commands through a portal, by number, wait inside of the array from now on. */
  hold(portal: number): void
  release(portal: number): void
  /** Another initiator before the same array. */
  host(options?: Partial<IscsiOptions>): Target
  /** The path through a portal, by number, to a volume, by number. */
  open(portal: number, volume?: number): Promise<Path>
}

const NAME = 'iqn.2026-11.io.blockbraid:array'
let cleanUps: (() => Promise<unknown>)[] = []

/** Ends what the rigs of a test have left; called after each test. */
export async function cleanUp(): Promise<void> {
  const all = cleanUps.reverse()
  cleanUps = []
  for (const end of all) await end()
}

afterEach(cleanUp)

/** Makes a rig of `options`; everything in it ends with the test. */
export async function rig(
  options: { memory?: MemoryOptions; array?: Partial<IscsiArrayOfOptions>; initiator?: Partial<IscsiOptions> } = {},
): Promise<Rig> {
  const inner = memory({ volumes: [{ size: '16MiB' }], ports: 2, ...options.memory })
  const targetFor = (initiator: string): Target => {
    const known = inners.get(initiator)
    if (known !== undefined) return known
    const made = holding.before(memory({ array: inner.array, initiator }))
    inners.set(initiator, made)
    return made
  }
  const holding = new Holding()
  const addresses = [...new Set((await inner.discover()).map(({ address }) => address))]
  const inners = new Map<string, Target>()
  const array = await iscsiArrayOf(inner, { name: NAME, targetFor, ...options.array })
  cleanUps.push(
    () => inner.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}),
    () => array.close(),
  )
  const host = (more: Partial<IscsiOptions> = {}): Target => {
    const made = iscsi({
      portals: array.portals.map(({ address }) => address),
      initiator: 'iqn.2026-11.io.blockbraid:host',
      taskTimeout: 2000,
      loginTimeout: 2000,
      ...options.initiator,
      ...more,
    })
    cleanUps.push(() => made.close({ signal: AbortSignal.timeout(3000) }).catch(() => {}))
    return made
  }
  const target = host()
  return {
    storage: inner.array,
    array,
    target,
    host,
    hold: (portal) => holding.hold(addresses[portal] as string),
    release: (portal) => holding.release(addresses[portal] as string),
    async open(portal, volume = 0) {
      const { address } = array.portals[portal]!
      const { id } = inner.array.volumes[volume]!
      const info = (await target.discover()).find((one) => one.address === address && one.volume === id)
      if (info === undefined) throw new Error(`no path to volume ${volume} through portal ${portal}`)
      return target.connect(info)
    },
  }
}
