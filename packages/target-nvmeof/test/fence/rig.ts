import type { FenceProof } from '@blockbraid/core'
import { delay } from '@blockbraid/core'
import type { VirtualHost } from '@blockbraid/testkit'
import { virtualHost } from '@blockbraid/testkit'
import type { ControllerFacts } from '../../src/association/association.ts'
import type { SharedAssociation } from '../../src/fence/shared-association.ts'
import { SharedAssociations } from '../../src/fence/shared-associations.ts'
import type { Place } from '../../src/place/place.ts'
import { portalOf } from '../../src/place/portal.ts'
import { DoubleAssociation, place } from './double.ts'

/** The associations of a host in virtual time, over doubles. */
export interface Rig {
  readonly host: VirtualHost
  readonly all: SharedAssociations
  /** Every association that was opened. */
  readonly opened: DoubleAssociation[]
  /** What the subsystem says to who asks whether it has forgotten a controller. */
  forgets: () => Promise<boolean>
  /** Opens one at that address. */
  at(address: string, facts?: Partial<ControllerFacts>, more?: Partial<Place>): Promise<Opened>
}

/** An association in use. */
export interface Opened {
  readonly shared: SharedAssociation
  readonly association: DoubleAssociation
}

export const QUIESCE = 10_000

/** `prepare` is called with each association before it is given out. */
export function rig(prepare: (association: DoubleAssociation) => void = () => {}): Rig {
  const host = virtualHost()
  const facts = new Map<string, Partial<ControllerFacts>>()
  const opened: DoubleAssociation[] = []
  const all = new SharedAssociations(
    host,
    {
      async open(to) {
        const association = new DoubleAssociation(host, facts.get(to.portal.address), to)
        opened.push(association)
        prepare(association)
        return association
      },
      forgets: () => made.forgets(),
    },
    QUIESCE,
  )
  const made: Rig = {
    host,
    all,
    opened,
    forgets: () => Promise.reject(new Error('nobody asks')),
    async at(address, told = {}, more = {}) {
      const portal = portalOf(address, 4420)
      facts.set(portal.address, told)
      const shared = all.at({ ...place, ...more, portal })
      const association = (await shared.acquire()) as DoubleAssociation
      return { shared, association }
    },
  }
  return made
}

/** What a fence has come to after `milliseconds`: its proof, or that there is none. */
export async function after(
  host: VirtualHost,
  milliseconds: number,
  fence: Promise<FenceProof | undefined>,
): Promise<FenceProof | undefined | 'open'> {
  const waited = delay(host.clock, milliseconds).then(() => 'open' as const)
  await host.clock.runUntil(waited)
  return Promise.race([fence, Promise.resolve('open' as const)])
}
