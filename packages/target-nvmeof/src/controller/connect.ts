import type { ErrorCode } from '@blockbraid/core'
import { asksToAuthenticate } from '../auth/required.ts'
import { ask } from '../nvme/ask.ts'
import type { ConnectFields } from '../nvme/fabrics.ts'
import { ANY_CONTROLLER, connect } from '../nvme/fabrics.ts'
import type { Completion, Procedure } from '../nvme/procedure.ts'
import { DNR, describeStatus, statusCodes } from '../nvme/status.ts'
import { StatusError } from '../nvme/status-error.ts'
import type { Place } from '../place/place.ts'

/** Proves on a queue who both sides are, where dword 0 of the answer to its Connect asks for it, or this host wants it. */
export type Authenticate = (connected: number, queue: number) => Procedure<unknown>

/** What an admin Connect gave. */
export interface Connected {
  /** CNTLID of the controller that the subsystem made. */
  readonly controller: number
}

/** Connects the admin queue: the subsystem makes a controller (NVMe Base 2.1 §6.3). Throws why it was refused. */
export function* connectAdmin(
  place: Place,
  fields: { readonly entries: number; readonly keepAliveTimeout: number },
  authenticate: Authenticate | undefined,
): Procedure<Connected> {
  const result = yield* connectQueue(place, { ...fields, queue: 0, controller: ANY_CONTROLLER }, authenticate)
  return { controller: result & 0xffff }
}

/** Connects I/O queue `queue`, from 1 on, to a controller. Throws why it was refused. */
export function* connectIo(
  place: Place,
  fields: { readonly queue: number; readonly entries: number; readonly controller: number },
  authenticate: Authenticate | undefined,
): Procedure<void> {
  yield* connectQueue(place, fields, authenticate)
}

function* connectQueue(
  place: Place,
  fields: Omit<ConnectFields, keyof Place>,
  authenticate: Authenticate | undefined,
): Procedure<number> {
  const { hostNqn, hostId, subNqn } = place
  // More commands than the queue has entries are never sent, so flow control would only cost answers.
  const withoutFlowControl = fields.queue > 0
  let completion = yield* ask(connect({ hostNqn, hostId, subNqn, ...fields, withoutFlowControl }))
  if (withoutFlowControl && refusesAttributes(completion)) {
    completion = yield* ask(connect({ hostNqn, hostId, subNqn, ...fields }))
  }
  if (completion.status !== 0) throw connectRefused(place, completion)
  if (authenticate !== undefined) yield* authenticate(completion.result, fields.queue)
  else if (asksToAuthenticate(completion.result)) {
    throw new StatusError(
      `the Connect of queue ${fields.queue}`,
      AUTHENTICATION_REQUIRED,
      'DENIED',
      'the subsystem asks for DH-HMAC-CHAP, and no secret is configured (dhchap)',
    )
  }
  return completion.result
}

const SPECIFIC = 0x100
const INVALID_PARAMETERS = SPECIFIC | 0x82
const INVALID_HOST = SPECIFIC | 0x84
// Whoever tries again without a secret meets the same.
const AUTHENTICATION_REQUIRED = SPECIFIC | 0x91 | DNR

// Status of a Connect without DNR (NVMe Base 2.1 §6.3): the code, and what it means.
const REFUSALS: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [SPECIFIC | 0x80, ['NOT_SUPPORTED', 'it does not know this format of Connect']],
  [SPECIFIC | 0x81, ['CONNECT_FAILED', 'the controller is taken, or there is no room for another']],
  [SPECIFIC | 0x83, ['CONNECT_FAILED', 'the subsystem is not available here now; discovery has to be asked again']],
  [INVALID_HOST, ['DENIED', 'this host is not allowed to use the subsystem']],
])

// Where an invalid parameter begins: in the data, and in the entry.
const DATA_FIELDS: ReadonlyMap<number, string> = new Map([
  [0, 'the host identifier'],
  [16, 'the controller ID'],
  [256, 'the NQN of the subsystem'],
  [512, 'the NQN of the host'],
])
const ENTRY_FIELDS: ReadonlyMap<number, string> = new Map([
  [40, 'the format of Connect'],
  [42, 'the number of the queue'],
  [44, 'the size of the queue'],
  [46, 'the attributes of the connection'],
  [48, 'the keep alive timeout'],
])
const ATTRIBUTES = 46
const SUBSYSTEM_NQN = 256
const HOST_NQN = 512

function refusesAttributes({ status, result }: Completion): boolean {
  return (status & 0x7ff) === INVALID_PARAMETERS && (result & 0x1_ffff) === ATTRIBUTES
}

/** The error for a Connect that was refused, with the reason in words and what cures it. */
export function connectRefused(place: Place, { status, result }: Completion): StatusError {
  const what = `the Connect to ${place.subNqn}`
  const kind = status & 0x7ff
  if (kind === INVALID_PARAMETERS) return invalid(what, place, status, result)
  const [code, text] = REFUSALS.get(kind) ?? (['CONNECT_FAILED', undefined] as const)
  if (text === undefined) return new StatusError(what, status, code, describeStatus(status))
  const cure = kind === INVALID_HOST ? `; the array has to allow ${place.hostNqn}` : ''
  return new StatusError(what, status, code, `${text} (${statusCodes(status)})${cure}`)
}

function invalid(what: string, place: Place, status: number, result: number): StatusError {
  const offset = result & 0xffff
  const inData = (result & 0x1_0000) !== 0
  const codes = statusCodes(status)
  if (inData && offset === SUBSYSTEM_NQN) {
    return new StatusError(what, status, 'NOT_FOUND', `no subsystem of that name here (${codes})`)
  }
  if (inData && offset === HOST_NQN) {
    const text = `it does not take this host (${codes}); the array has to allow ${place.hostNqn}`
    return new StatusError(what, status, 'DENIED', text)
  }
  const field = (inData ? DATA_FIELDS : ENTRY_FIELDS).get(offset)
  const where = field ?? `what stands at byte ${offset} of the ${inData ? 'data' : 'command'}`
  return new StatusError(what, status, 'CONNECT_FAILED', `it does not take ${where} (${codes})`)
}
