import { get16le, get64le, put16le, put32le, put64le } from '@blockbraid/wire'
import { ioOpcodes } from '../io/commands.ts'
import { accessStatus } from '../io/outcome.ts'
import type { Attachment } from '../namespace/attachment.ts'
import { AdminOpcode } from '../nvme/opcodes.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import { discoveryLog } from './discovery-log.ts'
import type { AdminResult } from './result.ts'

const RETAIN = 0x80
/** Bytes of a log page that are read at once, at most. */
const MOST = 4 * 1024 * 1024

/** Get Log Page (NVMe Base 2.1 §5.1.12). */
export function getLogPage(controller: Controller, { entry, length }: Request): AdminResult {
  const lid = entry[40]!
  const wanted = (get16le(entry, 42) + get16le(entry, 44) * 0x1_0000 + 1) * 4
  const offset = get64le(entry, 48)
  const retain = (entry[41]! & RETAIN) !== 0
  if (wanted > MOST || wanted > length) return Sc.dataLength | DNR
  if (offset % 4 !== 0) return Sc.invalidField | DNR
  const page = pageOf(controller, lid, entry[41]! & 0x7f)
  if (page === undefined) return Sc.invalidLog | DNR
  if (offset > page.length) return Sc.invalidField | DNR
  if (!retain) wasRead(controller, lid)
  // What is behind the end is zero.
  const data = Buffer.alloc(wanted)
  page.copy(data, 0, offset)
  return data
}

function pageOf(controller: Controller, lid: number, specific: number): Buffer | undefined {
  const { discovery, host } = controller
  if (lid === 0x00) return supportedPages(discovery)
  if (lid === 0x70) return discovery ? discoveryLog(host) : undefined
  if (lid === 0x01) return controller.errors.page()
  if (discovery) return undefined
  switch (lid) {
    case 0x02:
      return health(controller.errors.count)
    case 0x03:
      return firmware(host.settings.firmware)
    case 0x04:
      return controller.changed.page()
    case 0x05:
      return effects()
    case 0x0c:
      return anaLog(controller, (specific & 1) !== 0)
    case 0x1e: {
      const page = controller.crossResets.page(controller.id)
      if ((specific & 1) !== 0) controller.crossResets.removeCompleted()
      return host.settings.crossResets === 0 ? undefined : page
    }
    case 0x80:
      return reservationLog(controller)
    default:
      return undefined
  }
}

function wasRead(controller: Controller, lid: number): void {
  if (lid === 0x04) controller.changed.clear()
  if (lid === 0x80) controller.reservationNotices.shift()
  controller.events.read(lid)
  if (lid === 0x80 && controller.reservationNotices.length > 0) controller.events.notice('reservation')
}

function supportedPages(discovery: boolean): Buffer {
  const page = Buffer.alloc(1024)
  const all = discovery ? [0x00, 0x01, 0x70] : [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0c, 0x1e, 0x80]
  for (const lid of all) put32le(page, 4 * lid, 1)
  return page
}

function health(errors: number): Buffer {
  const page = Buffer.alloc(512)
  put64le(page, 176, errors)
  put16le(page, 1, 300)
  page[3] = 100
  page[4] = 10
  return page
}

function firmware(revision: string): Buffer {
  const page = Buffer.alloc(512)
  page[0] = 1
  page.write(revision.padEnd(8), 8, 'latin1')
  return page
}

function effects(): Buffer {
  const page = Buffer.alloc(4096)
  for (const opcode of Object.values(AdminOpcode)) put32le(page, 4 * opcode, 1)
  // Those that change data say so (LBCC).
  for (const opcode of ioOpcodes) put32le(page, 1024 + 4 * opcode, [0x01, 0x08, 0x09].includes(opcode) ? 3 : 1)
  return page
}

const anaStates = { optimized: 0x1, 'non-optimized': 0x2, standby: 0x3, unavailable: 0x4, transitioning: 0xf } as const

/** The ANA log (NVMe Base 2.1 §5.1.12.1.13). */
function anaLog(controller: Controller, groupsOnly: boolean): Buffer {
  const groups = new Map<number, Attachment[]>()
  for (const attachment of controller.attachments.values()) {
    const { id } = attachment.mapping.group
    groups.set(id, [...(groups.get(id) ?? []), attachment])
  }
  const sorted = [...groups].sort(([a], [b]) => a - b)
  const { changes } = controller.host.namespaces
  const header = Buffer.alloc(16)
  put64le(header, 0, changes)
  put16le(header, 8, sorted.length)
  const parts = sorted.map(([id, members]) => {
    const part = Buffer.alloc(32 + (groupsOnly ? 0 : 4 * members.length))
    put32le(part, 0, id)
    put32le(part, 4, groupsOnly ? 0 : members.length)
    put64le(part, 8, changes)
    part[16] = anaStates[worstOf(members).access]
    if (!groupsOnly) for (const [n, one] of members.entries()) put32le(part, 32 + 4 * n, one.mapping.nsid)
    return part
  })
  return Buffer.concat([header, ...parts])
}

// A group has one state: where its devices tell of several, the one that takes no commands.
function worstOf(members: readonly Attachment[]): Attachment {
  return members.find((one) => accessStatus(one) !== 0) ?? members[0]!
}

function reservationLog({ reservationNotices }: Controller): Buffer {
  const page = Buffer.alloc(64)
  const [first] = reservationNotices
  if (first === undefined) return page
  put64le(page, 0, 1)
  page[8] = first.type
  page[9] = Math.min(reservationNotices.length - 1, 255)
  put32le(page, 12, first.nsid)
  return page
}
