import type { PathInfo } from '@blockbraid/core'
import type { Remark, SurveyHost } from '@blockbraid/wire'
import { lunNumber, parseLun } from '../../scsi/lun.ts'
import type { WeakPlace } from '../nexus/logins.ts'
import type { PathPlace } from '../place/path-id.ts'
import { parsePathId, pathId } from '../place/path-id.ts'

/** How a survey speaks of iSCSI, and what it needs to know of its paths' ids and of numbers of logical units. */
export const iscsiNaming: Pick<SurveyHost, 'words' | 'numberOf' | 'placeOf' | 'idOf'> = {
  words: { unit: 'LUN', targets: 'targets', targetOption: 'target', host: 'initiator' },
  numberOf(name) {
    const lun = parseLun(name)
    return lun === undefined ? undefined : lunNumber(lun)
  },
  placeOf: (info: PathInfo) => parsePathId(info.id) as PathPlace,
  idOf: ({ targetName, portal }, name) => pathId({ targetName, portal, lun: lunNamed(name) }),
}

function lunNamed(name: string): PathPlace['lun'] {
  return parseLun(name) as PathPlace['lun']
}

const WEAK = 'has no better CHAP than MD5, which is used: name it in chap.algorithms to agree to it'

/** What is to be said of places where CHAP had nothing better than MD5; without a name, in discovery. */
export function weakRemarks(places: readonly WeakPlace[]): Remark[] {
  return places.map((place) => ({ ...place, text: WEAK, missing: false }))
}
