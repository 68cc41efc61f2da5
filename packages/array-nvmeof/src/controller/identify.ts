import { get16le, put16le, put32le, put64le } from '@blockbraid/wire'
import type { Attachment } from '../namespace/attachment.ts'
import { MOST_NAMESPACES } from '../namespace/namespaces.ts'
import { ALL_NAMESPACES, DISCOVERY_NQN, SQE } from '../nvme/opcodes.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import { ERROR_ENTRIES } from './error-log.ts'
import { supportedEvents } from './events.ts'
import type { AdminResult } from './result.ts'

const PAGE = 4096
/** VS: 2.1. */
export const VERSION = 0x0002_0100

/** Identify (NVMe Base 2.1 §5.1.13). */
export function identify(controller: Controller, { entry, nsid }: Request): AdminResult {
  const cns = entry[40]!
  const commandSet = entry[47]!
  if (controller.discovery && cns !== 0x01) return Sc.invalidField | DNR
  switch (cns) {
    case 0x00:
      return ofNamespace(controller, nsid, identifyNamespace)
    case 0x01:
      return identifyController(controller)
    case 0x02:
      return nsid >= 0xffff_fffe ? Sc.invalidNamespace | DNR : activeNamespaces(controller, nsid)
    case 0x03:
      return ofNamespace(controller, nsid, descriptors)
    case 0x05:
      return commandSet === 0 ? ofNamespace(controller, nsid, () => Buffer.alloc(PAGE)) : Sc.invalidField | DNR
    case 0x06:
      // The limits of DSM, Verify and Write Zeroes: none.
      return commandSet === 0 ? Buffer.alloc(PAGE) : Sc.invalidField | DNR
    case 0x07:
      return commandSet === 0 ? activeNamespaces(controller, nsid) : Sc.invalidField | DNR
    case 0x08:
      return ofNamespace(controller, nsid, independentNamespace)
    case 0x12:
    case 0x13:
      return controllerList(controller, get16le(entry, 42), cns === 0x12 ? nsid : 0)
    case 0x1c:
      return commandSets()
    default:
      return Sc.invalidField | DNR
  }
}

function ofNamespace(controller: Controller, nsid: number, make: (one: Attachment) => Buffer): AdminResult {
  if (nsid === 0 || nsid === ALL_NAMESPACES) return Sc.invalidNamespace | DNR
  const attachment = controller.attachments.get(nsid)
  if (attachment !== undefined) return make(attachment)
  // One that is not here is inactive, as long as it could be.
  return nsid <= highest(controller) ? Buffer.alloc(PAGE) : Sc.invalidNamespace | DNR
}

/** NN: the highest NSID. */
function highest({ host }: Controller): number {
  let most = MOST_NAMESPACES
  for (const { mappings } of host.namespaces.all) for (const { nsid } of mappings) most = Math.max(most, nsid)
  return most
}

function text(page: Buffer, at: number, length: number, value: string): void {
  page.fill(0x20, at, at + length)
  page.write(value, at, length, 'latin1')
}

function identifyController(controller: Controller): Buffer {
  const { host, discovery } = controller
  const { settings } = host
  const page = Buffer.alloc(PAGE)
  text(page, 4, 20, settings.serial)
  text(page, 24, 40, settings.model)
  text(page, 64, 8, settings.firmware)
  // CMIC: several ports, several controllers, ANA.
  page[76] = discovery ? 0 : 0x0b
  page[77] = Math.log2(settings.maxTransfer / PAGE)
  put16le(page, 78, controller.id)
  put32le(page, 80, VERSION)
  put32le(page, 92, supportedEvents(discovery))
  // CTRATT: 128-bit Host IDs; TBKAS.
  put32le(page, 96, settings.trafficKeepAlive ? 0x41 : 0x01)
  page[111] = discovery ? 2 : 1
  for (const [number, delay] of settings.retryDelays.entries()) put16le(page, 128 + 2 * number, delay / 100)
  page[135] = controller.instance
  page.writeBigUInt64LE(controller.instanceRandom, 136)
  page[258] = 7
  page[259] = settings.asyncEvents - 1
  // FRMW: one slot, read-only.
  page[260] = 0x03
  page[262] = ERROR_ENTRIES - 1
  // LPA: commands supported and effects; offsets and long lengths.
  page[261] = 0x06
  put16le(page, 320, settings.keepAliveGranularity / 100)
  put16le(page, 386, settings.quiesceTime)
  put16le(page, 514, settings.queueSize)
  // SGLs, aligned to nothing; offsets in capsules.
  put32le(page, 536, 0x0010_0001)
  page.write(discovery ? DISCOVERY_NQN : settings.name, 768, 'latin1')
  // DCTYPE: a direct discovery controller.
  if (discovery) page[1806] = 1
  else ioController(controller, page)
  return page
}

function ioController(controller: Controller, page: Buffer): void {
  const { settings } = controller.host
  page[512] = 0x66
  page[513] = 0x44
  page[342] = settings.transitionTime
  // ANACAP: every state, and groups that namespaces may change.
  page[343] = 0x1f
  put32le(page, 344, MOST_NAMESPACES)
  put32le(page, 348, MOST_NAMESPACES)
  put32le(page, 516, highest(controller))
  // ONCS: Compare, Dataset Management, Write Zeroes, Reservations, Verify.
  put16le(page, 520, 0x00ad)
  // VWC: there may be a cache, and Flush of all namespaces is not there.
  page[525] = 0x05
  put32le(page, 540, MOST_NAMESPACES)
  put32le(page, 1792, (SQE + settings.inCapsuleData) / 16)
  put32le(page, 1796, 1)
  // MSDBD: one descriptor; OFCS: Disconnect.
  page[1803] = 1
  put16le(page, 1804, 1)
  page[1807] = settings.crossResets
  // The one power state.
  put16le(page, 2048, 2500)
}

function activeNamespaces({ attachments, host }: Controller, after: number): Buffer {
  const page = Buffer.alloc(PAGE)
  const ids = new Set(attachments.keys())
  for (let phantom = 1; phantom <= host.phantoms; phantom++) ids.add(phantom)
  const wanted = [...ids].filter((nsid) => nsid > after).sort((a, b) => a - b)
  for (const [place, nsid] of wanted.slice(0, 1024).entries()) put32le(page, 4 * place, nsid)
  return page
}

function identifyNamespace({ device: { limits }, mapping }: Attachment): Buffer {
  const page = Buffer.alloc(PAGE)
  const { volume } = mapping
  const blocks = limits.size / limits.blockSize
  const preferred = Math.max(1, limits.preferredBlockSize / limits.blockSize) - 1
  for (const at of [0, 8, 16]) put64le(page, at, blocks)
  // NSFEAT: sizes of NPWG and its like are told.
  page[24] = 0x10
  // NMIC: several controllers have it.
  page[30] = 1
  // RESCAP: every type.
  page[31] = 0x7e
  // DLFEAT: what reads of deallocated blocks give; Write Zeroes may deallocate.
  page[33] = volume.deallocateZeroes ? 0x09 : 0x08
  put16le(page, 46, volume.optimalBoundary / limits.blockSize)
  for (const at of [64, 66, 68, 70]) put16le(page, at, preferred)
  put32le(page, 92, mapping.group.id)
  page[99] = limits.readOnly ? 1 : 0
  volume.ids.nguid.copy(page, 104)
  volume.ids.eui64.copy(page, 120)
  page[130] = Math.log2(limits.blockSize)
  return page
}

function independentNamespace({ device: { limits }, mapping }: Attachment): Buffer {
  const page = Buffer.alloc(PAGE)
  page[1] = 1
  page[2] = 0x7e
  put32le(page, 4, mapping.group.id)
  page[8] = limits.readOnly ? 1 : 0
  // NSTAT: ready.
  page[14] = 1
  return page
}

function descriptors({ mapping }: Attachment): Buffer {
  const page = Buffer.alloc(PAGE)
  const { eui64, nguid, uuid } = mapping.volume.ids
  let at = 0
  const add = (type: number, value: Buffer): void => {
    page[at] = type
    page[at + 1] = value.length
    value.copy(page, at + 4)
    at += 4 + value.length
  }
  if (eui64.some((byte) => byte !== 0)) add(1, eui64)
  if (nguid.some((byte) => byte !== 0)) add(2, nguid)
  if (uuid.some((byte) => byte !== 0)) add(3, uuid)
  add(4, Buffer.of(0))
  return page
}

function controllerList(controller: Controller, from: number, nsid: number): Buffer {
  const ids: number[] = []
  for (const other of controller.host.controllers()) {
    if (!other.discovery && other.id >= from && (nsid === 0 || other.attachments.has(nsid))) ids.push(other.id)
  }
  ids.sort((a, b) => a - b)
  const page = Buffer.alloc(PAGE)
  put16le(page, 0, Math.min(ids.length, 2047))
  for (const [place, id] of ids.slice(0, 2047).entries()) put16le(page, 2 + 2 * place, id)
  return page
}

function commandSets(): Buffer {
  const page = Buffer.alloc(PAGE)
  put32le(page, 0, 1)
  return page
}
