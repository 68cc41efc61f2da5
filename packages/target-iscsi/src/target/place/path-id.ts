import type { Lun } from '../../scsi/lun.ts'
import { parseLun } from '../../scsi/lun.ts'
import type { Portal } from './portal.ts'
import { parsePortal } from './portal.ts'

/** What a path's id says. */
export interface PathPlace {
  readonly targetName: string
  readonly portal: Portal
  readonly lun: Lun
}

/** `iscsi:TARGET/HOST:PORT/lunN`: stable as long as the array is reached at that address under that name. */
export function pathId({ targetName, portal, lun }: PathPlace): string {
  return `iscsi:${targetName}/${portal.address}/lun${lun.name}`
}

/** Reads what `pathId` wrote; undefined for anything else. */
export function parsePathId(id: string): PathPlace | undefined {
  const match = /^iscsi:([^/\s]+)\/([^/\s]+)\/lun([0-9a-fx]+)$/.exec(id)
  if (match === null) return undefined
  const portal = parsePortal(match[2] as string)
  const lun = parseLun(match[3] as string)
  return portal === undefined || lun === undefined ? undefined : { targetName: match[1] as string, portal, lun }
}
