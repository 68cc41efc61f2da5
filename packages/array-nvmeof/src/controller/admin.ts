import { get16le } from '@blockbraid/wire'
import { AdminOpcode, FABRICS, FabricsType } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import { crossReset } from './cross-reset.ts'
import { getFeatures, setFeatures } from './feature-commands.ts'
import { identify } from './identify.ts'
import { getLogPage } from './logs.ts'
import { propertyGet, propertySet } from './properties.ts'
import type { AdminEntry, AdminResult } from './result.ts'

const HOST_BEHAVIOUR = 0x16

const table: (AdminEntry | undefined)[] = []
table[AdminOpcode.getLogPage] = { discovery: true, run: getLogPage }
table[AdminOpcode.identify] = { discovery: true, run: identify }
table[AdminOpcode.abort] = { run: abort }
table[AdminOpcode.setFeatures] = { discovery: true, run: setFeatures }
table[AdminOpcode.getFeatures] = { discovery: true, run: getFeatures }
table[AdminOpcode.asyncEvent] = { discovery: true, run: asyncEvent }
table[AdminOpcode.keepAlive] = { discovery: true, run: keepAlive }
table[AdminOpcode.crossReset] = { run: crossReset }

/** What an admin command needs, or why it is refused whatever the state. */
export function prepareAdmin(controller: Controller, request: Request): Status {
  if (request.opcode === FABRICS) return 0
  const entry = table[request.opcode]
  if (entry === undefined || (controller.discovery && entry.discovery !== true)) return Sc.invalidOpcode | DNR
  const sends = request.opcode === AdminOpcode.setFeatures && request.entry[40] === HOST_BEHAVIOUR
  request.take = sends ? request.length : 0
  return request.take > controller.maxTransfer ? Sc.invalidField | DNR : 0
}

/** Whether an admin command may run now. */
export function admitAdmin(controller: Controller, request: Request): Status {
  if (request.opcode === FABRICS) return 0
  if (!controller.ready) return Sc.sequenceError | DNR
  return controller.failed ? Sc.internalError | DNR : 0
}

/** Runs an admin command whose data is there; `answer` ends one that gives null. */
export function runAdmin(
  controller: Controller,
  request: Request,
  data: Buffer,
  answer: (result: AdminResult) => void,
): AdminResult {
  if (request.opcode !== FABRICS) return table[request.opcode]!.run(controller, request, data, answer)
  switch (request.entry[4]) {
    case FabricsType.propertyGet:
      return propertyGet(controller, request)
    case FabricsType.propertySet:
      return propertySet(controller, request)
    case FabricsType.connect:
      // The queue is connected.
      return Sc.sequenceError | DNR
    default:
      return Sc.invalidOpcode | DNR
  }
}

function keepAlive(controller: Controller): AdminResult {
  controller.host.records.keepAlives++
  controller.keepAlive.heard()
  controller.lookForChanges()
  return 0
}

function asyncEvent(controller: Controller, _request: Request, _data: Buffer, answer: (result: AdminResult) => void) {
  return controller.events.request((result) => answer({ result })) ? null : Sc.asyncLimit | DNR
}

/** Dword 0 of Abort: the command was not aborted. */
const NOT_ABORTED = { result: 1 }

function abort(controller: Controller, { entry }: Request): AdminResult {
  controller.host.records.aborts++
  const link = controller.links.get(get16le(entry, 40))
  const victim = link?.find(get16le(entry, 42))
  if (link === undefined || victim === undefined || victim === null) return NOT_ABORTED
  return link.abort(victim) ? 0 : NOT_ABORTED
}
