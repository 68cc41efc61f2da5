import type { Path, PathInfo, Target } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { NetworkHost } from '@blockbraid/wire'
import { SimulatedNvmeArray } from './array.ts'
import type { Mapping } from './namespace/volume.ts'
import type { NvmeArrayOptions, NvmePortOptions } from './options/options.ts'
import { resolveOptions } from './options/settings.ts'
import type { NvmeArray } from './options/types.ts'

/** Options of {@link nvmeArrayOf}. */
export interface NvmeArrayOfOptions extends Omit<NvmeArrayOptions, 'ports' | 'namespaces'> {
  /** Addresses, one for each port that the target has. @defaultValue free ports of 127.0.0.1 */
  ports?: readonly NvmePortOptions[]
  /** A target for each host NQN, on the same storage, so that it can tell hosts apart. @defaultValue one for all */
  targetFor?: (hostNqn: string) => Target
}

/**
 * Puts a target, such as target-memory's, behind a simulated NVMe/TCP array: each of its ports, by the address in
 * `PathInfo`, becomes a port. Every controller has paths of its own, so that what happens to them (lost links, hangs,
 * access states, other volumes) shows through NVMe, and its end fences them. The NSID is `PathInfo.lun` and one more.
 * Rejects where the target cannot be discovered or an address cannot be had. The target stays the caller's.
 */
export async function nvmeArrayOf(
  target: Target,
  options: NvmeArrayOfOptions,
  host: NetworkHost = systemHost,
): Promise<NvmeArray> {
  const infos = await target.discover()
  const addresses = [...new Set(infos.map(({ address }) => address))]
  const ports = addresses.map((_, number) => options.ports?.[number] ?? {})
  const array = new SimulatedNvmeArray(resolveOptions({ ...options, ports }), host)
  const mirror = new Mirror(target, options.targetFor ?? (() => target), addresses, array)
  array.onClose = () => mirror.close()
  await mirror.show(infos)
  await array.listen()
  return array
}

/** One path of the target, as a namespace of a port. */
interface Place {
  readonly info: PathInfo
  readonly port: number
  readonly nsid: number
  readonly mapping: Mapping
  /** A path of the array's own, which tells of the access state. */
  watch: Path | undefined
}

/** Keeps the namespaces of an array the same as the paths of a target. */
class Mirror {
  readonly #target: Target
  readonly #targetFor: (hostNqn: string) => Target
  readonly #addresses: readonly string[]
  readonly #array: SimulatedNvmeArray
  readonly #places = new Map<string, Place>()
  readonly #ending = new AbortController()
  #work: Promise<void> = Promise.resolve()

  constructor(
    target: Target,
    targetFor: (hostNqn: string) => Target,
    addresses: readonly string[],
    array: SimulatedNvmeArray,
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
      // Another volume at the same NSID comes in the place of this one below.
      if (!wanted.has(id)) await this.#array.unmap(place.nsid, [place.port])
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
    const port = this.#addresses.indexOf(info.address)
    const nsid = info.lun === undefined ? this.#freeNsid(port) : Number(info.lun) + 1
    const { mappings } = this.#array.put({
      nsid,
      volume: info.volume,
      ports: [port],
      // Each path tells of a state of its own.
      anaGroup: nsid,
      device: (_port, hostNqn, signal) => this.#targetFor(hostNqn).connect(info, { signal }),
    })
    this.#places.set(id, { info, port, nsid, mapping: mappings[0]!, watch: undefined })
  }

  async #watch(place: Place): Promise<void> {
    const { info, mapping, port } = place
    const path = await this.#target.connect(info, { signal: this.#ending.signal }).catch(() => undefined)
    if (path === undefined) return
    if (this.#places.get(info.id) !== place || this.#ending.signal.aborted || place.watch !== undefined) {
      await path.close()
      return
    }
    place.watch = path
    mapping.group.access[port] = path.access
    path.events.on('access', (access) => {
      mapping.group.access[port] = access
    })
    path.events.on('down', () => {
      place.watch = undefined
      void path.close()
    })
  }

  #freeNsid(port: number): number {
    const taken = new Set([...this.#places.values()].filter((one) => one.port === port).map(({ nsid }) => nsid))
    let nsid = 1
    while (taken.has(nsid)) nsid++
    return nsid
  }
}
