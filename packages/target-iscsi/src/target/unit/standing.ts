import type { Access, Path } from '@blockbraid/core'
import * as cdb from '../../scsi/cdb.ts'
import type { PortGroup } from '../../scsi/ports.ts'
import { decodePortGroups, groupOf, isExtended, transitionTimeOf } from '../../scsi/ports.ts'
import type { Session } from '../../session/session.ts'
import type { Asker } from './ask.ts'
import { ask, askIfKnown } from './ask.ts'
import type { Identity } from './disk.ts'

/** How the port through which a logical unit is reached stands with it. */
export interface Standing {
  readonly access: Access
  /** The array would rather have it used. */
  readonly preferred: boolean
  /** How long a transition may take, milliseconds; undefined where the array does not say. */
  readonly transitionTime: number | undefined
}

/** Of a logical unit that knows no port groups. */
const PLAIN: Standing = { access: 'optimized', preferred: false, transitionTime: undefined }

/** Whether two are the same. */
export function isSameStanding(one: Standing, other: Pick<Path, 'access' | 'preferred' | 'transitionTime'>): boolean {
  return one.access === other.access && one.preferred === other.preferred && one.transitionTime === other.transitionTime
}

/** Reads it. */
export async function readStanding(asker: Asker, { inquiry, port }: Identity): Promise<Standing> {
  if (inquiry.tpgs === 0) return PLAIN
  const first = await report(asker)
  if (first === undefined) return PLAIN
  const seconds = transitionTimeOf(first)
  const transitionTime = seconds === 0 ? undefined : 1000 * seconds
  let group = groupOf(await wholeGroups(asker, first), port)
  if (group === undefined && isExtended(first)) {
    // Linux cuts the answer short by what the extended header has more.
    useNoExtended(asker)
    const plain = await report(asker)
    group = plain && groupOf(await wholeGroups(asker, plain), port)
  }
  return group === undefined ? PLAIN : { access: group.access, preferred: group.preferred, transitionTime }
}

async function wholeGroups(asker: Asker, first: Uint8Array): Promise<readonly PortGroup[]> {
  const { groups, length } = decodePortGroups(first)
  if (length <= first.length || length > 0x1_0000) return groups
  return decodePortGroups((await report(asker, length)) ?? first).groups
}

// Logical units that do not know the extended header, which alone tells the time of a transition, or tell less with it.
const plainOnly = new WeakMap<Session, Set<string>>()

function useNoExtended({ session, lun }: Asker): void {
  const units = plainOnly.get(session) ?? new Set()
  plainOnly.set(session, units.add(lun.name))
}

async function report(asker: Asker, length?: number): Promise<Uint8Array | undefined> {
  const { session, lun } = asker
  const what = 'REPORT TARGET PORT GROUPS'
  if (plainOnly.get(session)?.has(lun.name) !== true) {
    const answer = await askIfKnown(asker, what, cdb.reportTargetPortGroups(length, true))
    if (answer !== undefined) return answer
    useNoExtended(asker)
  }
  if (length === undefined) return askIfKnown(asker, what, cdb.reportTargetPortGroups())
  return ask(asker, what, cdb.reportTargetPortGroups(length))
}
