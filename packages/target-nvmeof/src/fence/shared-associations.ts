import type { Fence, Host, SignalOptions } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import type { LeftController } from '../place/fence-token.ts'
import { fenceToken } from '../place/fence-token.ts'
import type { Place } from '../place/place.ts'
import { endsLate } from './forgotten.ts'
import { Heirs } from './heirs.ts'
import { fenceInTheWorstCase } from './ladder.ts'
import type { LadderHost } from './ladder-host.ts'
import { Losses } from './losses.ts'
import { watchOf } from './quiet-time.ts'
import type { SharedHost } from './shared-association.ts'
import { SharedAssociation } from './shared-association.ts'
import { Siblings } from './siblings.ts'

/** The associations of a host, each opened when it is first asked for, and the proofs for those that were lost. */
export class SharedAssociations {
  readonly #host: SharedHost
  readonly #siblings: Siblings
  readonly #all = new Map<string, SharedAssociation>()
  readonly #heirs: Heirs
  readonly #ended = new AbortController()

  /**
   * `open`: one try to connect. `forgets`: whether the subsystem knows no controller of that number of that host any more;
   * rejects where that cannot be asked. `quiesceTime`: milliseconds, taken for the Command Quiesce Time of controllers that
   * do not state it.
   */
  constructor(
    { clock, random }: Host,
    { open, forgets }: Pick<SharedHost, 'open'> & Pick<LadderHost, 'forgets'>,
    quiesceTime: number,
  ) {
    this.#siblings = new Siblings(clock)
    const ladder: LadderHost = { clock, random, siblings: this.#siblings, quiesceTime, forgets }
    const losses = new Losses(ladder, this.#ended.signal)
    this.#host = { clock, random, siblings: this.#siblings, losses, open }
    this.#heirs = new Heirs(ladder, (place) => this.at(place), this.#ended.signal)
  }

  at(place: Place): SharedAssociation {
    const key = keyOf(place)
    const known = this.#all.get(key)
    if (known !== undefined) return known
    const shared = new SharedAssociation(this.#host, place, this.#ended.signal)
    this.#all.set(key, shared)
    return shared
  }

  /** Whether there is a live association with that subsystem. */
  reaches(place: Place): boolean {
    return this.#siblings.reach(place)
  }

  /** How what is sent through `association` would be fenced if it were lost now, its admin queue too. */
  fenceBy(association: Association): Fence {
    return fenceInTheWorstCase(association, this.#siblings)
  }

  /** What another process needs to prove the same once this one has ended. */
  tokenOf({ place, controller }: Association, nsid: number): string {
    return fenceToken({ ...controller, ...watchOf(controller), place, nsid, endsLate: endsLate(controller) })
  }

  /** As {@link Heirs.prove}. */
  prove(left: LeftController, options?: SignalOptions): Promise<void> {
    return this.#heirs.prove(left, options)
  }

  /** Ends each association as soon as nobody uses it; after that no proof is looked for any more. */
  async close(): Promise<void> {
    this.#ended.abort()
    await Promise.all([...this.#all.values()].map((shared) => shared.close()))
  }
}

function keyOf({ hostNqn, hostId, subNqn, portal }: Place): string {
  return `${hostNqn} ${hostId} ${subNqn} ${portal.address}`
}
