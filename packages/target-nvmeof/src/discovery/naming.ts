import type { PathInfo } from '@blockbraid/core'
import type { SurveyHost, TargetPlace } from '@blockbraid/wire'
import type { PathPlace } from '../place/path-id.ts'
import { parsePathId, pathId } from '../place/path-id.ts'

/** How a survey speaks of NVMe, and what it needs to know of its paths' ids and of numbers of namespaces. */
export const nvmeNaming: Pick<SurveyHost, 'words' | 'numberOf' | 'placeOf' | 'idOf'> = {
  words: { unit: 'namespace', targets: 'subsystems', targetOption: 'subsystem', host: 'host' },
  numberOf: Number,
  placeOf({ id }: PathInfo): Pick<TargetPlace, 'targetName' | 'portal'> {
    const { subNqn, portal } = parsePathId(id) as PathPlace
    return { targetName: subNqn, portal }
  },
  idOf: ({ targetName, portal }, nsid) => pathId({ subNqn: targetName, portal, nsid: Number(nsid) }),
}
