import { Errno, IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { decodeReservation, decodeReservationKeys } from '../../src/scsi/reservations.ts'
import type { ReserveOutOptions } from '../../src/scsi/reserve.ts'
import {
  persistentReserveIn,
  persistentReserveOut,
  ReservationType,
  ReserveIn,
  ReserveOut,
} from '../../src/scsi/reserve.ts'
import type { IscsiPath } from '../../src/target/path.ts'
import type { Bed } from './bed.ts'
import { BLOCK, bed, run } from './bed.ts'

const MINE = '0xa1'
const THEIRS = '0xb2'

async function out(path: IscsiPath, action: number, options: ReserveOutOptions): Promise<number> {
  const { cdb, data } = persistentReserveOut(action, options)
  for (;;) {
    const { status } = await path.scsi(cdb, data)
    if (status !== 2) return status
  }
}

async function read(path: IscsiPath, action: number): Promise<Uint8Array> {
  const { cdb, data } = persistentReserveIn(action)
  for (;;) {
    const answer = await path.scsi(cdb, data)
    if (answer.status === 0) return answer.data
  }
}

const write = (path: IscsiPath) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 1)] })
const readBlock = (path: IscsiPath) => run(path, { op: IoOp.Read, length: BLOCK })

async function twoHosts(made: Bed): Promise<[IscsiPath, IscsiPath, () => Promise<IscsiPath>]> {
  const other = made.host({ initiator: 'iqn.2026-11.io.blockbraid:other' })
  const open = () => made.open(0, 0, other)
  return [await made.open(), await open(), open]
}

describe('two hosts and a reservation', () => {
  test('writes of the other host are refused, and its path stays', async () => {
    const [mine, theirs] = await twoHosts(await bed())
    expect(await out(mine, ReserveOut.Register, { serviceKey: MINE })).toBe(0)
    expect(await out(mine, ReserveOut.Reserve, { key: MINE, type: ReservationType.WriteExclusive })).toBe(0)
    expect(await write(mine)).toBe(OK)
    expect(await write(theirs)).toBe(Errno.EBADE)
    expect(await readBlock(theirs)).toBe(OK)
    expect(decodeReservationKeys(await read(theirs, ReserveIn.ReadKeys)).keys).toHaveLength(1)
    expect(decodeReservation(await read(theirs, ReserveIn.ReadReservation))).toBeDefined()
    // It takes over.
    expect(await out(theirs, ReserveOut.Register, { serviceKey: THEIRS })).toBe(0)
    const preempt = { key: THEIRS, serviceKey: MINE, type: ReservationType.WriteExclusive }
    expect(await out(theirs, ReserveOut.PreemptAndAbort, preempt)).toBe(0)
    expect(await write(theirs)).toBe(OK)
    expect(await write(mine)).toBe(Errno.EBADE)
  })

  test.each([
    ['exclusive access', ReservationType.ExclusiveAccess],
    ['exclusive access for registrants', ReservationType.ExclusiveAccessRegistrants],
  ])('a host can open a path, and join, while another one has %s', async (_what, type) => {
    const made = await bed()
    const mine = await made.open()
    expect(await out(mine, ReserveOut.Register, { serviceKey: MINE })).toBe(0)
    expect(await out(mine, ReserveOut.Reserve, { key: MINE, type })).toBe(0)
    const other = made.host({ initiator: 'iqn.2026-11.io.blockbraid:other' })
    const theirs = await made.open(0, 0, other)
    expect(await readBlock(theirs)).toBe(Errno.EBADE)
    expect(await out(theirs, ReserveOut.Register, { serviceKey: THEIRS })).toBe(0)
    if (type === ReservationType.ExclusiveAccessRegistrants) expect(await write(theirs)).toBe(OK)
  })

  test('a reservation outlives the session, and the path that comes back has it', async () => {
    const made = await bed()
    const [mine, theirs] = await twoHosts(made)
    expect(await out(mine, ReserveOut.Register, { serviceKey: MINE })).toBe(0)
    expect(await out(mine, ReserveOut.Reserve, { key: MINE, type: ReservationType.WriteExclusive })).toBe(0)
    const down = new Promise((resolve) => mine.events.on('down', resolve))
    for (const session of made.array.sessions) if (session.initiatorName.endsWith(':host')) session.cut()
    await down
    await mine.close()
    const again = await made.open()
    expect(await write(again)).toBe(OK)
    expect(await write(theirs)).toBe(Errno.EBADE)
  })
})
