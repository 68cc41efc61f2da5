import type { Clock } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { FoundTarget, Remark, Telling, ToldPortals } from '@blockbraid/wire'
import type { Association, AssociationListener } from '../association/association.ts'
import { readDiscoveryLog } from '../controller/discovery.ts'
import type { SharedAssociation } from '../fence/shared-association.ts'
import type { Portal } from '../place/portal.ts'
import { ask } from '../unit/ask.ts'
import type { ReadLog } from './log.ts'
import { readLog } from './log.ts'

/** What discovery controllers need of their target. */
export interface ControllersHost {
  readonly clock: Clock
  /** Which portals that are told of may be connected to. */
  readonly told: Pick<ToldPortals, 'admit'>
  /** Where the discovery subsystem of a portal is shared. */
  at(portal: Portal): Pick<SharedAssociation, 'acquire' | 'release'>
  /** What discovery tells may have changed. */
  changed(why: string): void
}

/** A connection to a discovery controller that is kept, so that it can tell of changes (NVMe Base 2.1 §3.1.3.3). */
interface Kept {
  readonly association: Association
  readonly listener: AssociationListener
  release(): void
}

// Discovery controllers that one portal leads to, at most.
const MOST_REACHED = 64

/** The discovery controllers of a target, and those that they refer to: asked again and again, and listened to in between. */
export class DiscoveryControllers {
  readonly #host: ControllersHost
  readonly #kept = new Map<string, Kept>()
  /** What each one told last. */
  readonly #logs = new Map<string, ReadLog>()
  /** By portal of the options, those that it leads to, itself included. */
  readonly #reached = new Map<string, ReadonlySet<string>>()
  /** Why those that are referred to do not answer. */
  readonly #silent = new Map<string, string>()
  #closed = false

  constructor(host: ControllersHost) {
    this.#host = host
  }

  /**
   * Asks a portal and what it refers to, each one once, whoever refers to it: rejects where the portal itself does not
   * answer. One that is referred to and silent counts as it was.
   */
  async ask(portal: Portal, signal: AbortSignal): Promise<Telling> {
    const found: FoundTarget[] = []
    const odd: string[] = []
    const reached = new Set([portal.address])
    let next: Portal[] = [portal]
    while (next.length > 0) {
      const asked = next
      const logs = await Promise.all(asked.map((one) => this.#log(one, one === portal, signal)))
      next = []
      for (const [index, log] of logs.entries()) {
        found.push(...log.found)
        odd.push(...log.odd)
        for (const one of this.#referred(log, asked[index] as Portal)) {
          if (reached.has(one.address) || reached.size >= MOST_REACHED) continue
          reached.add(one.address)
          next.push(one)
        }
      }
    }
    this.#reached.set(portal.address, reached)
    this.#letGo()
    return { found: merged(found), odd }
  }

  /** What is to be said of those that are referred to. */
  remarks(): Remark[] {
    return [...this.#silent].map(([portal, text]) => ({ portal, text, missing: true }))
  }

  /** Ends every connection. */
  close(): void {
    this.#closed = true
    for (const address of [...this.#kept.keys()]) this.#end(address)
  }

  #referred({ referrals }: ReadLog, teller: Portal): Portal[] {
    return referrals.flatMap((address) => {
      const portal = this.#host.told.admit(address, teller)
      return typeof portal === 'object' ? [portal] : []
    })
  }

  async #log(portal: Portal, must: boolean, signal: AbortSignal): Promise<ReadLog> {
    const { address } = portal
    try {
      const association = await this.#keep(portal, signal)
      const log = readLog(await ask({ clock: this.#host.clock, association, owner: this, signal }, readDiscoveryLog))
      this.#logs.set(address, log)
      this.#silent.delete(address)
      return log
    } catch (error) {
      if (must || signal.aborted) throw error
      this.#silent.set(address, `is referred to by a discovery controller, and does not answer: ${messageOf(error)}`)
      return this.#logs.get(address) ?? { found: [], referrals: [], odd: [] }
    }
  }

  async #keep(portal: Portal, signal: AbortSignal): Promise<Association> {
    const { address } = portal
    const before = this.#kept.get(address)
    if (before?.association.usable) return before.association
    const shared = this.#host.at(portal)
    const association = await shared.acquire({ signal })
    if (this.#closed || this.#kept.has(address)) {
      shared.release()
      return association
    }
    const listener = {
      lost: () => {
        this.#end(address)
        this.#host.changed(`the connection to the discovery controller at ${address} was lost`)
      },
      discovery: () => this.#host.changed(`the discovery controller at ${address} tells of changes`),
    }
    association.listeners.add(listener)
    this.#kept.set(address, { association, listener, release: () => shared.release() })
    return association
  }

  /** Those that nobody refers to any more are left. */
  #letGo(): void {
    const all = new Set([...this.#reached.values()].flatMap((some) => [...some]))
    for (const address of [...this.#kept.keys()]) if (!all.has(address)) this.#end(address)
    for (const map of [this.#logs, this.#silent]) {
      for (const address of map.keys()) if (!all.has(address)) map.delete(address)
    }
  }

  #end(address: string): void {
    const kept = this.#kept.get(address)
    if (kept === undefined) return
    this.#kept.delete(address)
    kept.association.listeners.delete(kept.listener)
    kept.release()
  }
}

/** One entry for each subsystem, whoever tells of it. */
function merged(found: readonly FoundTarget[]): FoundTarget[] {
  return [...Map.groupBy(found, ({ name }) => name)].map(([name, some]) => ({
    name,
    portals: some.flatMap(({ portals }) => portals),
    elsewhere: true,
  }))
}
