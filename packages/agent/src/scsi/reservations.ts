import type { Reservation, ReservationCapabilities, ReservationKeys, ReservationStatus } from '@blockbraid/target-iscsi'
import {
  decodeReservation,
  decodeReservationCapabilities,
  decodeReservationKeys,
  decodeReservationStatus,
  persistentReserveIn,
  persistentReserveOut,
  ReserveIn,
  ReserveOut,
} from '@blockbraid/target-iscsi'
import { parseKey, parseType, typeName } from '../by-hand/request.ts'
import { defaultType } from '../by-hand/reservation-types.ts'
import { UsageError } from '../terminal/terminal.ts'
import { facts } from '../text/facts.ts'
import { formatTable } from '../text/table.ts'
import { reservationTypes } from './forms.ts'
import type { ScsiRequest, ScsiWords } from './request.ts'
import { growing, refuseRest } from './request.ts'

// The allocation length has 16 bits.
const MAX_LENGTH = 0xffff

/** The request that the words after `pr` mean. Throws a UsageError. */
export function parseReservation([name = '', ...more]: readonly string[], options: ScsiWords): ScsiRequest {
  const read = reads.get(name)
  if (read === undefined) return parseChange(name, more, options)
  refuseRest(read.name, more, options)
  return read
}

const reads = new Map<string, ScsiRequest>([
  ['keys', read('keys', ReserveIn.ReadKeys, decodeReservationKeys, keyLines)],
  ['reservation', read('reservation', ReserveIn.ReadReservation, decodeReservation, reservationLines)],
  ['capabilities', read('capabilities', ReserveIn.ReportCapabilities, decodeReservationCapabilities, capabilityLines)],
  ['status', read('status', ReserveIn.ReadFullStatus, decodeReservationStatus, statusLines)],
])

function read<Value extends object>(
  name: string,
  action: number,
  decode: (data: Uint8Array) => Value,
  lines: (value: Value, width: number) => readonly string[],
): ScsiRequest {
  const needed = (data: Uint8Array): number => {
    const value = decode(data)
    return 'length' in value ? Math.min(value.length as number, MAX_LENGTH) : 0
  }
  return growing(`pr ${name}`, (length) => persistentReserveIn(action, length), decode, lines, needed)
}

/** What a change of reservations takes: its service action and its options. */
const changes = {
  // Registering again with the same key does no harm, whatever was registered before.
  register: { action: ReserveOut.RegisterAndIgnore, takes: ['key'], everyPath: true },
  unregister: { action: ReserveOut.RegisterAndIgnore, takes: [], everyPath: true },
  reserve: { action: ReserveOut.Reserve, takes: ['key', 'type'], everyPath: false },
  // On any path but the holder's it is good, and does nothing (SPC-5).
  release: { action: ReserveOut.Release, takes: ['key', 'type'], everyPath: true },
  preempt: { action: ReserveOut.Preempt, takes: ['key', 'victim', 'type'], everyPath: false },
  clear: { action: ReserveOut.Clear, takes: ['key'], everyPath: false },
} as const

function parseChange(name: string, more: readonly string[], options: ScsiWords): ScsiRequest {
  if (!Object.hasOwn(changes, name)) {
    const known = [...reads.keys(), ...Object.keys(changes)].join(', ')
    throw new UsageError(`pr: "${name}" is nothing to do with reservations: it must be one of ${known}`)
  }
  const change = changes[name as keyof typeof changes]
  const takes: readonly (keyof ScsiWords)[] = change.takes
  refuseRest(`pr ${name}`, more, options, takes)
  const key = takes.includes('key') ? parseKey(`pr ${name}`, 'key', options.key) : '0x0'
  const victim = takes.includes('victim') ? parseKey(`pr ${name}`, 'victim', options.victim) : '0x0'
  const command = persistentReserveOut(change.action, {
    key: name === 'register' ? '0x0' : key,
    serviceKey: name === 'register' ? key : victim,
    type: takes.includes('type') ? parseType(reservationTypes, options.type ?? defaultType) : 0,
  })
  return {
    name: `pr ${name}`,
    everyPath: change.everyPath,
    run: (send) => send(command),
    decode: () => undefined,
  }
}

function nameOf(type: number): string {
  return typeName(reservationTypes, type)
}

function keyLines({ generation, keys }: ReservationKeys): readonly string[] {
  return keys.length === 0 ? [`no keys are registered (generation ${generation})`] : keys
}

function reservationLines({ generation, held }: Reservation, width: number): readonly string[] {
  if (held === undefined) return [`nobody holds a reservation (generation ${generation})`]
  return facts(
    [
      ['key', held.key],
      ['type', nameOf(held.type)],
      ['generation', String(generation)],
    ],
    width,
  )
}

function capabilityLines(capabilities: ReservationCapabilities, width: number): readonly string[] {
  const { allPorts, persist, persistActive, compatible, replaceLost, types } = capabilities
  const yes = (one: boolean): string => (one ? 'yes' : 'no')
  return facts(
    [
      ['types', types === undefined ? 'not told' : types.map(nameOf).join(', ')],
      ['all ports at once', yes(allPorts)],
      ['kept without power', persist ? (persistActive ? 'yes, on now' : 'yes, off now') : 'no'],
      ['as SPC-2 has it', yes(compatible)],
      ['replaces lost ones', yes(replaceLost)],
    ],
    width,
  )
}

const statusColumns = [
  { title: 'initiator', elastic: true },
  { title: 'port', align: 'right' },
  { title: 'key' },
  { title: 'holds' },
] as const

function statusLines({ generation, registrants }: ReservationStatus, width: number): readonly string[] {
  if (registrants.length === 0) return [`nobody is registered (generation ${generation})`]
  const rows = registrants.map(({ initiator, allPorts, relativePort, key, holder, type }) => [
    initiator,
    allPorts ? 'all' : String(relativePort),
    key,
    holder ? nameOf(type) : '-',
  ])
  return formatTable(statusColumns, rows, width)
}
