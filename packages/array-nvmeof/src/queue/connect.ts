import { get16le, get32le } from '@blockbraid/wire'
import { QueueAuth } from '../auth/queue-auth.ts'
import type { Controller } from '../controller/controller.ts'
import { DISCOVERY_NQN } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import { isNqn } from '../options/settings.ts'
import { RequestTable } from '../request/table.ts'
import type { Queue } from './queue.ts'

/** Entries of an admin queue, at most. */
const ADMIN_ENTRIES = 4096
const DISABLE_FLOW_CONTROL = 0x04
const DYNAMIC = 0xffff
// Places of fields, for hosts that have them wrong.
const QID = 42
const SQSIZE = 44
const HOST_ID = 0
const CONTROLLER_ID = 16
const SUBSYSTEM_NQN = 256
const HOST_NQN = 512
const LONGEST = 256

/** What a Connect asks for (NVMe Base 2.1 §6.3). */
interface ConnectFacts {
  readonly format: number
  readonly qid: number
  /** Entries of the queue, less one. */
  readonly entries: number
  readonly attributes: number
  readonly keepAlive: number
  readonly hostId: string
  readonly controllerId: number
  readonly subsystemNqn: string
  readonly hostNqn: string
}

/** How a Connect ends. */
export interface ConnectVerdict {
  readonly status: Status
  /** Dword 0 of the completion: where the mistake is. */
  readonly result: number
}

/** A controller for the queue, or why there is none. */
export type Admission = Controller | ConnectVerdict

/** Reads a Connect. */
export function readConnect(entry: Buffer, data: Buffer): ConnectFacts {
  return {
    format: get16le(entry, 40),
    qid: get16le(entry, QID),
    entries: get16le(entry, SQSIZE),
    attributes: entry[46]!,
    keepAlive: get32le(entry, 48),
    hostId: data.toString('hex', HOST_ID, HOST_ID + 16),
    controllerId: get16le(data, CONTROLLER_ID),
    subsystemNqn: textOf(data, SUBSYSTEM_NQN),
    hostNqn: textOf(data, HOST_NQN),
  }
}

/** Takes a queue into a controller, an old or a new one. */
export async function admitQueue(queue: Queue, facts: ConnectFacts, signal: AbortSignal): Promise<Admission> {
  const { host } = queue
  if (facts.format !== 0) return { status: Sc.incompatibleFormat | DNR, result: 0 }
  const discovery = facts.subsystemNqn === DISCOVERY_NQN
  const unserved = discovery ? 'subsystem' : 'discovery'
  if (host.serves === unserved || (!discovery && facts.subsystemNqn !== host.settings.name))
    return wrongData(SUBSYSTEM_NQN)
  if (!isNqn(facts.hostNqn)) return wrongData(HOST_NQN)
  if (/^0*$/.test(facts.hostId)) return wrongData(HOST_ID)
  const admin = facts.qid === 0
  if (facts.entries === 0 || facts.entries >= (admin ? ADMIN_ENTRIES : host.settings.queueSize))
    return wrongEntry(SQSIZE)
  const rule = host.refusal(admin, discovery)
  if (rule !== undefined) {
    return { status: (rule.status ?? Sc.controllerBusy) | (rule.doNotRetry === true ? DNR : 0), result: 0 }
  }
  const { hosts } = host.settings
  if (!discovery && hosts !== undefined && !hosts.includes(facts.hostNqn)) {
    return { status: Sc.invalidHost | DNR, result: 0 }
  }
  return admin ? admitAdminQueue(queue, facts, discovery, signal) : admitIoQueue(queue, facts)
}

async function admitAdminQueue(
  { host }: Queue,
  { controllerId, hostNqn, hostId, keepAlive }: ConnectFacts,
  discovery: boolean,
  signal: AbortSignal,
): Promise<Admission> {
  // Controllers are made for each Connect.
  if (controllerId !== DYNAMIC) return wrongData(CONTROLLER_ID)
  if (host.full()) return { status: Sc.controllerBusy, result: 0 }
  const controller = host.make({ hostNqn, hostId, discovery })
  controller.setKeepAlive(keepAlive)
  try {
    await controller.namespaces.openAll(signal)
  } catch (error) {
    void controller.remove('lost')
    throw error
  }
  return controller
}

function admitIoQueue({ host }: Queue, facts: ConnectFacts): Admission {
  const controller = host.find(facts.controllerId)
  if (controller === undefined || controller.discovery || controller.port !== host.port) return wrongData(CONTROLLER_ID)
  if (controller.hostNqn !== facts.hostNqn) return wrongData(HOST_NQN)
  if (controller.hostId !== facts.hostId) return wrongData(HOST_ID)
  if (facts.qid > controller.features.queues) return wrongEntry(QID)
  if (!controller.connected || !controller.ready || controller.links.has(facts.qid)) {
    return { status: Sc.sequenceError | DNR, result: 0 }
  }
  return controller
}

/** The queue belongs to a controller now. */
export function enter(queue: Queue, controller: Controller, facts: ConnectFacts): void {
  const { settings, records } = queue.host
  queue.id = facts.qid
  queue.size = facts.entries + 1
  queue.controller = controller
  queue.requests = new RequestTable(queue.size)
  queue.flowControl = !settings.flowControlDisable || (facts.attributes & DISABLE_FLOW_CONTROL) === 0
  if (facts.qid !== 0) queue.inCapsule = settings.inCapsuleData
  queue.success = settings.successFlag && !queue.flowControl
  const { auth } = settings
  if (auth !== undefined && !controller.discovery && (facts.qid === 0 || auth.onIoQueues)) {
    queue.auth = new QueueAuth(auth, facts.hostNqn, facts.subsystemNqn)
  }
  controller.links.set(facts.qid, queue)
  if (facts.qid === 0) records.controllers++
  else records.queues++
}

function wrongEntry(at: number): ConnectVerdict {
  return { status: Sc.connectInvalid | DNR, result: at }
}

function wrongData(at: number): ConnectVerdict {
  return { status: Sc.connectInvalid | DNR, result: 0x1_0000 | at }
}

function textOf(data: Buffer, at: number): string {
  const end = data.indexOf(0, at)
  return data.toString('latin1', at, end === -1 || end > at + LONGEST ? at + LONGEST : end)
}
