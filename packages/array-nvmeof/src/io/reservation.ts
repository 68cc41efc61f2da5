import { get32le, put16le, put32le } from '@blockbraid/wire'
import type { Attachment } from '../namespace/attachment.ts'
import { Reservations } from '../namespace/reservations.ts'
import type { Volume } from '../namespace/volume.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { CommandResult } from './entry.ts'

const CONFLICT: Status = Sc.reservationConflict
const IGNORE_KEY = 0x08
const EXTENDED = 0x01
// Notifications (NVMe Base 2.1 §5.1.12.1.31).
const REGISTRATION_PREEMPTED = 1
const RESERVATION_RELEASED = 2
const RESERVATION_PREEMPTED = 3

/** Reservation Register (NVMe Base 2.1 §7.6). */
export function register(request: Request, { mapping: { volume } }: Attachment, data: Buffer): Status {
  const { reservations } = volume
  const host = request.controller!.hostId
  const control = request.entry[40]!
  const [current, next] = [data.readBigUInt64LE(0), data.readBigUInt64LE(8)]
  const known = reservations.registrants.get(host)
  const ignore = (control & IGNORE_KEY) !== 0
  // CPTPL 10b and 11b ask for what survives power loss; nothing here does.
  if (request.entry[43]! >>> 6 === 3) return Sc.invalidField | DNR
  switch (control & 0x07) {
    case 0:
      if (known !== undefined && known !== next) return CONFLICT
      reservations.registrants.set(host, next)
      break
    case 1:
      if (known === undefined || (!ignore && known !== current)) return CONFLICT
      if (reservations.unregister(host)) tellOthers(volume, host, RESERVATION_RELEASED, registeredTo(reservations))
      break
    case 2:
      if (!ignore && (known === undefined || known !== current)) return CONFLICT
      reservations.registrants.set(host, next)
      break
    default:
      return Sc.invalidField | DNR
  }
  reservations.generation++
  return 0
}

/** Reservation Acquire (NVMe Base 2.1 §7.5). */
export function acquire(request: Request, attachment: Attachment, data: Buffer): Status | Promise<Status> {
  const { volume } = attachment.mapping
  const { reservations } = volume
  const host = request.controller!.hostId
  const action = request.entry[40]! & 0x07
  const type = request.entry[41]!
  const [current, preempted] = [data.readBigUInt64LE(0), data.readBigUInt64LE(8)]
  if (action > 2 || !Reservations.knows(type)) return Sc.invalidField | DNR
  if (reservations.registrants.get(host) !== current) return CONFLICT
  if (action !== 0) return preempt(volume, host, preempted, type, action === 2)
  if (reservations.held) return reservations.holds(host) && reservations.type === type ? 0 : CONFLICT
  reservations.reserve(host, type)
  return 0
}

function preempt(volume: Volume, host: string, key: bigint, type: number, aborts: boolean): Status | Promise<Status> {
  const { reservations } = volume
  const all = reservations.ofAll && key === 0n
  if (key === 0n && !all) return Sc.invalidField | DNR
  const { registrants } = reservations
  const holderKey = reservations.ofAll ? undefined : registrants.get(reservations.holder)
  const takes = reservations.held && (all || holderKey === key)
  const victims = [...registrants]
    .filter(([other, its]) => (all ? other !== host : its === key))
    .map(([other]) => other)
  if (victims.length === 0 && !takes) return CONFLICT
  const before = reservations.type
  const gone = new Set(victims.filter((victim) => victim !== host || !takes))
  for (const victim of gone) reservations.unregister(victim)
  if (takes) {
    reservations.release()
    reservations.reserve(host, type)
  }
  reservations.generation++
  tellOthers(volume, host, REGISTRATION_PREEMPTED, (other) => gone.has(other))
  if (takes && before !== type) tellOthers(volume, host, RESERVATION_RELEASED, registeredTo(reservations))
  if (!aborts) return 0
  const aborted = [...volume.watchers].filter(({ hostId }) => gone.has(hostId)).map((watcher) => watcher.abort())
  return Promise.all(aborted).then(() => 0)
}

/** Reservation Release (NVMe Base 2.1 §7.7). */
export function release(request: Request, { mapping: { volume } }: Attachment, data: Buffer): Status {
  const { reservations } = volume
  const host = request.controller!.hostId
  if (reservations.registrants.get(host) !== data.readBigUInt64LE(0)) return CONFLICT
  switch (request.entry[40]! & 0x07) {
    case 0: {
      if (!reservations.holds(host)) return 0
      if (request.entry[41] !== reservations.type) return Sc.invalidField | DNR
      const { ofRegistrants } = reservations
      reservations.release()
      if (ofRegistrants) tellOthers(volume, host, RESERVATION_RELEASED, registeredTo(reservations))
      return 0
    }
    case 1: {
      const known = new Set(reservations.registrants.keys())
      reservations.registrants.clear()
      reservations.release()
      reservations.generation++
      tellOthers(volume, host, RESERVATION_PREEMPTED, (other) => known.has(other))
      return 0
    }
    default:
      return Sc.invalidField | DNR
  }
}

/** Reservation Report (NVMe Base 2.1 §7.8), with 128-bit Host IDs alone: those that fabrics have. */
export function report(request: Request, { mapping: { volume } }: Attachment): CommandResult {
  if ((request.entry[44]! & EXTENDED) === 0) return Sc.invalidHostFormat | DNR
  const { reservations } = volume
  const controllers = [...reservations.registrants].flatMap(([host, key]) => {
    const own = [...volume.watchers].filter(({ hostId }) => hostId === host).map(({ controllerId }) => controllerId)
    return (own.length === 0 ? [0xffff] : own).map((id) => ({ host, key, id }))
  })
  const data = Buffer.alloc(64 * (1 + controllers.length))
  put32le(data, 0, reservations.generation)
  data[4] = reservations.type
  put16le(data, 5, controllers.length)
  for (const [number, { host, key, id }] of controllers.entries()) {
    const at = 64 * (1 + number)
    put16le(data, at, id)
    data[at + 2] = reservations.holds(host) ? 1 : 0
    data.writeBigUInt64LE(key, at + 8)
    data.write(host, at + 16, 'hex')
  }
  return data.subarray(0, (get32le(request.entry, 40) + 1) * 4)
}

function registeredTo(reservations: Reservations): (host: string) => boolean {
  return (host) => reservations.registrants.has(host)
}

function tellOthers(volume: Volume, host: string, type: number, which: (host: string) => boolean): void {
  for (const watcher of volume.watchers) if (watcher.hostId !== host && which(watcher.hostId)) watcher.notify(type)
}
