import { get16, put16, put32 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import { Attention, Check, GOOD, Status, statusOnly } from './outcome.ts'
import type { Registration } from './reservations.ts'
import { Reservations } from './reservations.ts'
import type { Task } from './task.ts'

const CONFLICT = statusOnly(Status.reservationConflict)

/** PERSISTENT RESERVE IN (SPC-4 §6.15). */
export function persistentIn(task: Task): CommandResult {
  const { cdb } = task
  const { unit } = task.nexus!.mapping
  const length = get16(cdb, 7)
  const answers = [readKeys, readReservation, capabilities, fullStatus]
  const answer = answers[cdb[1]! & 0x1f]
  return answer === undefined ? Check.invalidField : answer(unit.reservations).subarray(0, length)
}

function withHead(reservations: Reservations, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  put32(head, 0, reservations.generation)
  put32(head, 4, body.length)
  return Buffer.concat([head, body])
}

function readKeys(reservations: Reservations): Buffer {
  const keys = Buffer.alloc(8 * reservations.registrations.size)
  let at = 0
  for (const { key } of reservations.registrations.values()) at = keys.writeBigUInt64BE(key, at)
  return withHead(reservations, keys)
}

function readReservation(reservations: Reservations): Buffer {
  if (!reservations.held) return withHead(reservations, Buffer.alloc(0))
  const body = Buffer.alloc(16)
  body.writeBigUInt64BE(reservations.holder?.key ?? 0n, 0)
  body[13] = reservations.type
  return withHead(reservations, body)
}

function capabilities(): Buffer {
  // All target ports; every type (SPC-4 §6.15.4).
  return Buffer.from([0, 8, 0x04, 0x80, 0xea, 0x01, 0, 0])
}

function fullStatus(reservations: Reservations): Buffer {
  const parts: Buffer[] = []
  for (const { name, key, portal, initiatorPort } of reservations.registrations.values()) {
    const text = Buffer.from(initiatorPort, 'utf8')
    const padded = Math.max(20, (text.length + 4) & ~3)
    const one = Buffer.alloc(24 + 4 + padded)
    one.writeBigUInt64BE(key, 0)
    if (reservations.heldBy(name)) {
      one[12] = 0x01
      one[13] = reservations.type
    }
    put16(one, 18, portal + 1)
    put32(one, 20, 4 + padded)
    // TransportID of an iSCSI initiator port (SPC-4 §7.6.4.6).
    one[24] = 0x45
    put16(one, 26, padded)
    one.set(text, 28)
    parts.push(one)
  }
  return withHead(reservations, Buffer.concat(parts))
}

interface OutRequest {
  readonly nexus: Nexus
  readonly task: Task
  readonly reservations: Reservations
  readonly type: number
  readonly key: bigint
  readonly actionKey: bigint
  readonly allPorts: boolean
}

/** PERSISTENT RESERVE OUT (SPC-4 §6.16). */
export function persistentOut(task: Task, data: Buffer): Outcome | Promise<Outcome> {
  const { cdb } = task
  const nexus = task.nexus!
  const { reservations } = nexus.mapping.unit
  if (data.length !== 24) return Check.parameterListLength
  const flags = data[20]!
  const [action, scope, type] = [cdb[1]! & 0x1f, cdb[2]! >> 4, cdb[2]! & 0x0f]
  // SPEC_I_PT and APTPL are not supported.
  if ((flags & 0x09) !== 0) return Check.invalidParameter
  const request: OutRequest = {
    nexus,
    task,
    reservations,
    type,
    key: data.readBigUInt64BE(0),
    actionKey: data.readBigUInt64BE(8),
    allPorts: (flags & 0x04) !== 0,
  }
  const own = reservations.registrations.get(nexus.name)
  if (action === 0 && request.key !== (own?.key ?? 0n)) return CONFLICT
  if (action === 0 || action === 6) return register(request)
  if (action > 5) return Check.invalidField
  if (own === undefined || own.key !== request.key) return CONFLICT
  const typed = action === 1 || action === 4 || action === 5
  if (typed && (scope !== 0 || !Reservations.knows(type))) return Check.invalidField
  if (action === 1) return reserve(request)
  if (action === 2) return release(request, scope)
  return action === 3 ? clear(request) : preempt(request, action === 5)
}

/** Tells every other registered nexus of the unit. */
function tellOthers(request: OutRequest, attention: number, who: (name: string) => boolean): void {
  const { nexus } = request
  for (const other of nexus.mapping.unit.nexuses) {
    if (other.name !== nexus.name && who(other.name)) other.raise(attention)
  }
}

function register(request: OutRequest): Outcome {
  const { nexus, reservations, actionKey, allPorts } = request
  const { mapping, initiatorPort } = nexus
  const portals = allPorts ? [...mapping.unit.mappings].map(({ portal }) => portal.number) : [mapping.portal.number]
  reservations.generation++
  for (const portal of portals) {
    const name = `${initiatorPort},${portal}`
    if (actionKey !== 0n) {
      const known = reservations.registrations.get(name)
      if (known === undefined) reservations.registrations.set(name, { name, initiatorPort, portal, key: actionKey })
      else known.key = actionKey
      continue
    }
    const { forRegistrants } = reservations
    const released = reservations.unregister(name)
    if (released && forRegistrants) {
      tellOthers(request, Attention.reservationsReleased, (other) => reservations.registrations.has(other))
    }
  }
  return GOOD
}

function reserve({ nexus, reservations, type }: OutRequest): Outcome {
  if (!reservations.held) reservations.reserve(nexus.name, type)
  else if (!reservations.heldBy(nexus.name) || reservations.type !== type) return CONFLICT
  return GOOD
}

function release(request: OutRequest, scope: number): Outcome {
  const { nexus, reservations, type } = request
  if (!reservations.heldBy(nexus.name)) return GOOD
  if (scope !== 0 || reservations.type !== type) return Check.invalidRelease
  const { forRegistrants } = reservations
  reservations.release()
  if (forRegistrants) {
    tellOthers(request, Attention.reservationsReleased, (name) => reservations.registrations.has(name))
  }
  return GOOD
}

function clear(request: OutRequest): Outcome {
  const { reservations } = request
  tellOthers(request, Attention.reservationsPreempted, (name) => reservations.registrations.has(name))
  reservations.registrations.clear()
  reservations.release()
  reservations.generation++
  return GOOD
}

function preempt(request: OutRequest, abort: boolean): Outcome | Promise<Outcome> {
  const { nexus, reservations, type, actionKey, task } = request
  const everybody = reservations.shared && actionKey === 0n
  if (actionKey === 0n && !reservations.shared) return Check.invalidParameter
  const victims: Registration[] = [...reservations.registrations.values()].filter(
    ({ key }) => everybody || key === actionKey,
  )
  if (victims.length === 0) return CONFLICT
  const takes =
    reservations.held && (everybody || victims.some(({ name }) => !reservations.shared && reservations.heldBy(name)))
  const changed = takes && reservations.type !== type
  const names = new Set(victims.map(({ name }) => name))
  names.delete(nexus.name)
  for (const name of names) reservations.unregister(name)
  if (takes) reservations.reserve(nexus.name, type)
  reservations.generation++
  tellOthers(request, Attention.registrationsPreempted, (name) => names.has(name))
  if (changed) {
    tellOthers(request, Attention.reservationsReleased, (name) => reservations.registrations.has(name))
  }
  if (!abort) return GOOD
  return task.session!.host.abortNexuses(nexus.mapping.unit, names).then(() => GOOD)
}
