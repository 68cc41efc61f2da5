import type { Host, SignalOptions } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import { ConnectPace } from '@blockbraid/wire'
import { testUnitReady } from '../../scsi/cdb.ts'
import type { Lun } from '../../scsi/lun.ts'
import { Action } from '../../scsi/status.ts'
import type { Session } from '../../session/session.ts'
import type { NexusPlace } from '../place/fence-token.ts'
import { nexusKey } from '../place/fence-token.ts'
import type { Portal } from '../place/portal.ts'
import { ask, ScsiError } from '../unit/ask.ts'
import { Nexus } from './nexus.ts'
import type { Lost } from './proofs.ts'

/** The nexuses of an initiator, each made when it is first asked for, and how fast they log in. */
export class Nexuses {
  readonly #host: Host
  readonly #open: (place: NexusPlace, options: SignalOptions) => Promise<Session>
  readonly #all = new Map<string, Nexus>()
  readonly #paces = new Map<string, ConnectPace>()

  /** `open`: one try to log in. */
  constructor(host: Host, open: (place: NexusPlace, options: SignalOptions) => Promise<Session>) {
    this.#host = host
    this.#open = open
  }

  at(place: NexusPlace): Nexus {
    const key = nexusKey(place)
    const known = this.#all.get(key)
    if (known !== undefined) return known
    const nexus = new Nexus(
      {
        clock: this.#host.clock,
        random: this.#host.random,
        open: (at, { signal, recent = false }) => {
          const pace = this.#paceOf(at)
          if (recent && pace.tooEarly !== undefined) return Promise.reject(pace.tooEarly)
          return pace.try(() => this.#open(at, { signal }))
        },
        workedOff: (session, lun, options) => this.#workedOff(session, lun, options),
        siblings: (own, lost) => this.#siblings(own, lost),
      },
      place,
    )
    this.#all.set(key, nexus)
    return nexus
  }

  /** Whether there is a session with that target now. */
  hasSession(targetName: string): boolean {
    return [...this.#all.values()].some(
      ({ place, session }) => place.targetName === targetName && session !== undefined,
    )
  }

  /** Ends each session as soon as nobody uses it; after that no proof is looked for any more. */
  async close(): Promise<void> {
    await Promise.all([...this.#all.values()].map((nexus) => nexus.close()))
  }

  /** Other portals of the target that may lead to the portal group of a `lost` session, and work now. */
  #siblings({ targetName, portal }: NexusPlace, lost: readonly Lost[]): readonly Portal[] {
    const others = [...this.#all.values()].filter(
      (other) => other.place.targetName === targetName && mayShareGroup(other.session, lost),
    )
    const portals = new Map(others.map((other) => [other.place.portal.address, other.place.portal]))
    portals.delete(portal.address)
    return [...portals.values()]
  }

  /** One for all sessions with a target at a portal: what one of them meets is what the others would. */
  #paceOf({ targetName, portal }: NexusPlace): ConnectPace {
    const key = `${targetName} ${portal.address}`
    const pace = this.#paces.get(key) ?? new ConnectPace(this.#host.clock, this.#host.random)
    this.#paces.set(key, pace)
    return pace
  }

  async #workedOff(session: Session, lun: Lun, { signal }: SignalOptions): Promise<void> {
    // However long it takes: a question that is given up stays in the target, and the next one waits behind it.
    const options = { clock: this.#host.clock, timeout: Infinity, signal, ordered: true }
    try {
      await ask({ session, owner: {}, lun, options }, 'TEST UNIT READY', testUnitReady())
    } catch (error) {
      // A logical unit that is not there, or takes no commands here, executes none.
      if (error instanceof ScsiError && error.verdict.action === Action.None) return
      throw new BlockError('CONNECT_FAILED', `LUN ${lun.name}: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** Whether there is a session, and it is not known to be of another portal group than each of the lost ones. */
function mayShareGroup(live: Session | undefined, lost: readonly Lost[]): boolean {
  if (live === undefined) return false
  const now = live.negotiated.targetPortalGroupTag
  return lost.some(({ group: before }) => before === undefined || now === undefined || before === now)
}
