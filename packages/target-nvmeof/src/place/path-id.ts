import type { Portal } from './portal.ts'
import { parsePortal } from './portal.ts'

/** What a path's id says. */
export interface PathPlace {
  readonly subNqn: string
  readonly portal: Portal
  readonly nsid: number
}

/** `nvme-tcp:SUBNQN/HOST:PORT/nsN`: stable as long as the subsystem is reached at that address under that name. */
export function pathId({ subNqn, portal, nsid }: PathPlace): string {
  return `nvme-tcp:${subNqn}/${portal.address}/ns${nsid}`
}

/** Reads what `pathId` wrote; undefined for anything else. */
export function parsePathId(id: string): PathPlace | undefined {
  const match = /^nvme-tcp:([^/\s]+)\/([^/\s]+)\/ns([1-9][0-9]{0,9})$/.exec(id)
  if (match === null) return undefined
  const portal = parsePortal(match[2] as string)
  const nsid = Number(match[3])
  return portal === undefined || nsid > 0xffff_fffe ? undefined : { subNqn: match[1] as string, portal, nsid }
}
