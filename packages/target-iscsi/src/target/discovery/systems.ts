import type { PathInfo } from '@blockbraid/core'
import { madeByDefault } from '@blockbraid/core'
import type { Telling } from '@blockbraid/wire'
import { toldPortal } from '@blockbraid/wire'
import type { PathPlace } from '../place/path-id.ts'
import { parsePathId } from '../place/path-id.ts'
import type { Portal } from '../place/portal.ts'

/** Addresses that a portal told of a target; by target and portal. */
export type Told = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

/** Whether two portals are proven to lead to one target portal group; false: it is not known. */
export type Prove = (targetName: string, one: Portal, other: Portal) => Promise<boolean>

/**
 * Which portals of one target name are proven to be of one storage system: an iSCSI name should be unique in the world,
 * and that of a copied config is not. What a portal tells of another counts where that one says the same or is silent;
 * else, and only where an identity is in doubt, the portals are asked for a proof.
 */
export class Systems {
  readonly #prove: Prove
  readonly #proven = new Set<string>()

  constructor(prove: Prove) {
    this.#prove = prove
  }

  /** Fills `system` in; `answers` says which portals can be asked for a proof now. */
  async tell(
    infos: readonly PathInfo[],
    told: Told,
    answers: (address: string) => boolean = () => true,
  ): Promise<PathInfo[]> {
    const roots = new Map<string, string>()
    for (const [targetName, own] of Map.groupBy(infos, ({ endpoint }) => endpoint as string)) {
      const portals = new Map(own.map(({ id, address }) => [address, (parsePathId(id) as PathPlace).portal]))
      const heads: Portal[] = []
      for (const [address, portal] of [...portals].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const head = await this.#headOf(targetName, portal, heads, own, told.get(targetName), answers)
        if (head === portal) heads.push(portal)
        roots.set(`${targetName} ${address}`, head.address)
      }
    }
    return infos.map((info) => ({
      ...info,
      system: `${info.endpoint} at ${roots.get(`${info.endpoint} ${info.address}`)}`,
    }))
  }

  /** The first of the portals that `portal` is of one system with; itself where there is none. */
  async #headOf(
    targetName: string,
    portal: Portal,
    heads: readonly Portal[],
    own: readonly PathInfo[],
    told: ReadonlyMap<string, ReadonlySet<string>> | undefined,
    answers: (address: string) => boolean,
  ): Promise<Portal> {
    const known = heads.find(
      (head) =>
        this.#proven.has(`${targetName} ${head.address} ${portal.address}`) ||
        tellsOf(head.address, portal.address, told) ||
        tellsOf(portal.address, head.address, told),
    )
    if (known !== undefined) return known
    for (const head of heads) {
      if (!answers(head.address) || !answers(portal.address)) continue
      if (!isDoubtful(own, head.address, portal.address)) continue
      if (!(await this.#prove(targetName, head, portal))) continue
      this.#proven.add(`${targetName} ${head.address} ${portal.address}`)
      return head
    }
    return portal
  }
}

/** What portals have told, by target and portal. */
export function toldOf(tellings: ReadonlyMap<string, Telling>, portals: readonly Portal[]): Told {
  const told = new Map<string, Map<string, ReadonlySet<string>>>()
  for (const portal of portals) {
    for (const { name, portals: others } of tellings.get(portal.address)?.found ?? []) {
      const addresses = others.flatMap((one) => toldPortal(one, portal)?.address ?? [])
      const own = told.get(name) ?? new Map()
      told.set(name, own.set(portal.address, new Set(addresses)))
    }
  }
  return told
}

function tellsOf(one: string, other: string, told: ReadonlyMap<string, ReadonlySet<string>> | undefined): boolean {
  const back = told?.get(other)
  return told?.get(one)?.has(other) === true && (back === undefined || back.has(one))
}

/** Whether both portals show an identity that target software makes by default. */
function isDoubtful(infos: readonly PathInfo[], one: string, other: string): boolean {
  return infos.some(
    (info) =>
      info.address === one &&
      madeByDefault(info) !== undefined &&
      infos.some(({ address, volume }) => address === other && volume === info.volume),
  )
}
