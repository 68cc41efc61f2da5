import { isUsableName } from '../../login/names.ts'
import type { Lun } from '../../scsi/lun.ts'
import { parseLun } from '../../scsi/lun.ts'
import type { Portal } from './portal.ts'
import { parsePortal } from './portal.ts'

/** One end of an I_T nexus and where it leads: what a login needs to take the place of a session (RFC 7143 §6.3.5). */
export interface NexusPlace {
  /** iSCSI name of the initiator. */
  readonly initiator: string
  /** Initiator session id, 6 bytes. */
  readonly isid: Uint8Array
  readonly targetName: string
  readonly portal: Portal
}

/** What a fence token says: a session that a process had, and the logical unit that it sent to. */
export interface LeftSession extends NexusPlace {
  /** Target portal group tag; undefined where the target did not tell it. */
  readonly group: number | undefined
  readonly lun: Lun
}

const PREFIX = 'iscsi:'
const VERSION = 1
const MAX_LENGTH = 2048

/** `iscsi:` and JSON that another process can read, whatever its config. */
export function fenceToken({ initiator, isid, targetName, portal, group, lun }: LeftSession): string {
  const fields = { initiator, isid: hexOf(isid), target: targetName, portal: portal.address, group, lun: lun.name }
  return `${PREFIX}${JSON.stringify({ version: VERSION, ...fields })}`
}

/** Reads what `fenceToken` wrote; undefined for anything else. */
export function parseFenceToken(text: string): LeftSession | undefined {
  if (!text.startsWith(PREFIX) || text.length > MAX_LENGTH) return undefined
  const fields = fieldsOf(text.slice(PREFIX.length))
  if (fields?.['version'] !== VERSION) return undefined
  const { initiator, isid, target, portal: address, group, lun: unit } = fields
  if (!isName(initiator) || !isName(target) || !isText(isid) || !isText(address) || !isText(unit)) return undefined
  if (!/^[0-9a-f]{12}$/.test(isid)) return undefined
  if (group !== undefined && !(Number.isInteger(group) && (group as number) >= 0 && (group as number) <= 0xffff)) {
    return undefined
  }
  const portal = parsePortal(address)
  const lun = parseLun(unit)
  if (portal === undefined || lun === undefined) return undefined
  const tag = group as number | undefined
  return { initiator, isid: Buffer.from(isid, 'hex'), targetName: target, portal, group: tag, lun }
}

/** One text for one nexus. */
export function nexusKey({ initiator, isid, targetName, portal }: NexusPlace): string {
  return `${initiator} ${hexOf(isid)} ${targetName} ${portal.address}`
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function fieldsOf(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

// What a login sends as a text value must not hold the end of one.
function isName(value: unknown): value is string {
  return isText(value) && isUsableName(value)
}
