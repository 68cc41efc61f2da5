import type { BlockList } from 'node:net'
import { isIP } from 'node:net'
import type { Portal } from '../portal.ts'
import { portalOf } from '../portal.ts'
import type { ToldAddress } from './address.ts'
import { reachedFrom, splitZone } from './address.ts'

/** Which portals that a target tells of are used beside those of the options. */
export interface ToldRules {
  /** All, none, or those inside of networks. */
  readonly from: boolean | BlockList
  /** So many at most. */
  readonly most: number
}

/** Why a portal that was told of is not used. */
export type LeftOut = 'outside' | 'many' | 'zone' | undefined

/** The portals that targets have told of and that may be connected to: nothing is sent to any other. */
export class ToldPortals {
  readonly #rules: ToldRules
  readonly #configured: ReadonlySet<string>
  readonly #admitted = new Set<string>()

  constructor(rules: ToldRules, portals: readonly Portal[]) {
    this.#rules = rules
    this.#configured = new Set(portals.map(({ address }) => address))
  }

  /** Whether the options name it. */
  names(address: string): boolean {
    return this.#configured.has(address)
  }

  /** The portal of a told address, or why it is not used; undefined for what is none, or is not asked for. */
  admit(told: ToldAddress, teller: Portal): Portal | LeftOut {
    if (isNowhere(told.host)) return undefined
    const portal = toldPortal(told, teller)
    if (portal === undefined) return 'zone'
    if (this.names(portal.address) || this.#admitted.has(portal.address)) return portal
    if (this.#rules.from === false) return undefined
    if (!this.allows(portal.host)) return 'outside'
    if (this.#admitted.size >= this.#rules.most) return 'many'
    this.#admitted.add(portal.address)
    return portal
  }

  /** Whether a host is inside of the networks, where the options name some. */
  allows(host: string): boolean {
    const { from } = this.#rules
    if (typeof from === 'boolean') return true
    const [address] = splitZone(host)
    const family = isIP(address)
    return family !== 0 && from.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }

  /** Those that are not told any more make room. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#admitted) if (!addresses.has(address)) this.#admitted.delete(address)
  }
}

/** Where a told address leads from here; undefined where it leads nowhere. */
export function toldPortal({ host, port }: ToldAddress, teller: Portal): Portal | undefined {
  const from = reachedFrom(teller.host, host)
  return from === undefined ? undefined : portalOf(from, port)
}

// What a target that listens everywhere may say of itself.
function isNowhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
