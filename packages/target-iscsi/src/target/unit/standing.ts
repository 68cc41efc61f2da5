import type { Access, Path } from '@blockbraid/core'
import * as cdb from '../../scsi/cdb.ts'
import { decodePortGroups, groupOf, transitionTimeOf } from '../../scsi/ports.ts'
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
  let decoded = decodePortGroups(first)
  if (decoded.length > first.length && decoded.length <= 0x1_0000) {
    decoded = decodePortGroups((await report(asker, decoded.length)) ?? first)
  }
  const group = groupOf(decoded.groups, port)
  if (group === undefined) return PLAIN
  const { access, preferred } = group
  const seconds = transitionTimeOf(first)
  return { access, preferred, transitionTime: seconds === 0 ? undefined : 1000 * seconds }
}

// Logical units that do not know the extended header, which alone tells the time of a transition.
const plainOnly = new WeakMap<Session, Set<string>>()

async function report(asker: Asker, length?: number): Promise<Uint8Array | undefined> {
  const { session, lun } = asker
  const what = 'REPORT TARGET PORT GROUPS'
  const refused = plainOnly.get(session) ?? new Set()
  if (!refused.has(lun.name)) {
    const answer = await askIfKnown(asker, what, cdb.reportTargetPortGroups(length, true))
    if (answer !== undefined) return answer
    plainOnly.set(session, refused.add(lun.name))
  }
  if (length === undefined) return askIfKnown(asker, what, cdb.reportTargetPortGroups())
  return ask(asker, what, cdb.reportTargetPortGroups(length))
}
