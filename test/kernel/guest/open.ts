import type { MultipathDevice, MultipathOptions, PathInfo, PathSelector, Target } from '@blockbraid/core'
import { openMultipath } from '@blockbraid/core'

/** What is at a number of a portal. */
export async function findAt(target: Target, lun: string, portal: string): Promise<PathInfo> {
  const infos = await target.discover()
  const info = infos.find((each) => each.lun === lun && each.address === portal)
  if (info === undefined) throw new Error(`no ${lun} at ${portal} among ${infos.map(({ id }) => id).join(', ')}`)
  return info
}

/** A device over every path to a number, ready when all of them are up. */
export async function openEveryPath(
  target: Target,
  lun: string,
  selector?: () => PathSelector,
  multipath: MultipathOptions = {},
): Promise<MultipathDevice> {
  const infos = (await target.discover()).filter((info) => info.lun === lun)
  const volume = infos[0]?.volume
  if (volume === undefined) throw new Error(`no ${lun} at ${target.name}`)
  const sources = infos.map((info) => ({ target, info }))
  return openMultipath(volume, sources, {
    selector,
    multipath: { reconnectDelayMax: 500, connectTimeout: 60_000, ...multipath },
  })
}
