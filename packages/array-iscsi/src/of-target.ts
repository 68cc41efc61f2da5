import type { Path, PathInfo, Target } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { NetworkHost } from '@blockbraid/wire'
import { SimulatedIscsiArray } from './array.ts'
import type { IscsiArrayOptions, IscsiPortalOptions } from './options.ts'
import type { Mapping } from './scsi/unit.ts'
import { resolveOptions } from './settings.ts'
import type { IscsiArray } from './types.ts'

/** Options of {@link iscsiArrayOf}. */
export interface IscsiArrayOfOptions extends Omit<IscsiArrayOptions, 'portals' | 'luns'> {
  /** Addresses, one for each port that the target has. @defaultValue free ports of 127.0.0.1, each a group of its own */
  portals?: readonly IscsiPortalOptions[]
  /** A target for each initiator, on the same storage, so that it can tell hosts apart. @defaultValue one for all */
  targetFor?: (initiator: string) => Target
}

/**
 * Puts a target, such as target-memory's, behind a simulated iSCSI array: each of its ports, by the address
 * in `PathInfo`, becomes a portal. Every session has paths of its own, so that what happens to them (lost
 * links, hangs, access states, other volumes) shows through iSCSI, and reinstatement fences them. Rejects
 * where the target cannot be discovered or an address cannot be had. The target stays the caller's.
 */
export async function iscsiArrayOf(
  target: Target,
  options: IscsiArrayOfOptions,
  host: NetworkHost = systemHost,
): Promise<IscsiArray> {
  const infos = await target.discover()
  const addresses = [...new Set(infos.map(({ address }) => address))]
  const portals = addresses.map((_, number) => options.portals?.[number] ?? {})
  const array = new SimulatedIscsiArray(resolveOptions({ ...options, portals }), host)
  const mirror = new Mirror(target, options.targetFor ?? (() => target), addresses, array)
  array.onClose = () => mirror.close()
  await mirror.show(infos)
  await array.listen()
  return array
}

/** One path of the target, as a LUN of a portal. */
interface Place {
  readonly info: PathInfo
  readonly portal: number
  readonly lun: number
  readonly mapping: Mapping
  /** A path of the array's own, which tells of the access state. */
  watch: Path | undefined
}

/** Keeps the LUNs of an array the same as the paths of a target. */
class Mirror {
  readonly #target: Target
  readonly #targetFor: (initiator: string) => Target
  readonly #addresses: readonly string[]
  readonly #array: SimulatedIscsiArray
  readonly #places = new Map<string, Place>()
  readonly #ending = new AbortController()
  #work: Promise<void> = Promise.resolve()

  constructor(
    target: Target,
    targetFor: (initiator: string) => Target,
    addresses: readonly string[],
    array: SimulatedIscsiArray,
  ) {
    this.#target = target
    this.#targetFor = targetFor
    this.#addresses = addresses
    this.#array = array
    target.events?.on('changed', this.#onChanged)
  }

  /** Maps what is new, and takes away what is gone. */
  async show(infos: readonly PathInfo[]): Promise<void> {
    const wanted = new Map<string, PathInfo>()
    for (const info of infos) if (this.#addresses.includes(info.address)) wanted.set(info.id, info)
    for (const [id, place] of this.#places) {
      if (wanted.get(id)?.volume === place.info.volume) continue
      this.#places.delete(id)
      void place.watch?.close()
      // Another volume at the same LUN comes in the place of this one below.
      if (!wanted.has(id)) await this.#array.unmap(place.lun, [place.portal])
    }
    for (const [id, info] of wanted) if (!this.#places.has(id)) this.#add(id, info)
    for (const place of this.#places.values()) if (place.watch === undefined) void this.#watch(place)
  }

  async close(): Promise<void> {
    this.#target.events?.off('changed', this.#onChanged)
    this.#ending.abort()
    await this.#work
    await Promise.all([...this.#places.values()].map(({ watch }) => watch?.close()))
  }

  readonly #onChanged = (): void => {
    this.#work = this.#work.then(async () => {
      const { signal } = this.#ending
      if (signal.aborted) return
      // Where no port answers, nothing is known to have changed.
      const infos = await this.#target.discover({ signal }).catch(() => undefined)
      if (infos !== undefined) await this.show(infos)
    })
  }

  #add(id: string, info: PathInfo): void {
    const portal = this.#addresses.indexOf(info.address)
    const lun = Number(info.lun ?? this.#freeLun(portal))
    const { mappings } = this.#array.put({
      lun,
      volume: info.volume,
      portals: [portal],
      device: (_portal, initiator, signal) => this.#targetFor(initiator).connect(info, { signal }),
    })
    this.#places.set(id, { info, portal, lun, mapping: mappings[0]!, watch: undefined })
  }

  async #watch(place: Place): Promise<void> {
    const { info, mapping } = place
    const path = await this.#target.connect(info, { signal: this.#ending.signal }).catch(() => undefined)
    if (path === undefined) return
    if (this.#places.get(info.id) !== place || this.#ending.signal.aborted || place.watch !== undefined) {
      await path.close()
      return
    }
    place.watch = path
    mapping.access = path.access
    mapping.preferred = path.preferred === true
    mapping.setAccess = async (access) => {
      if (access === 'optimized') await path.activate?.()
    }
    path.events.on('access', (access) => {
      mapping.access = access
      mapping.preferred = path.preferred === true
      for (const nexus of mapping.unit.nexuses) nexus.accessChanged()
    })
    path.events.on('down', () => {
      place.watch = undefined
      void path.close()
    })
  }

  #freeLun(portal: number): number {
    const taken = new Set([...this.#places.values()].filter((one) => one.portal === portal).map(({ lun }) => lun))
    let lun = 0
    while (taken.has(lun)) lun++
    return lun
  }
}
