import type { MultipathDevice, PathView } from '@blockbraid/core'
import { Errno, IoOp, OK, openMultipath } from '@blockbraid/core'
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
import { sendScsi } from '../../src/scsi/send.ts'
import type { IscsiOptions } from '../../src/target/options/options.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'
import type { Bed } from './bed.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'

const MINE = '0xa1'
const THEIRS = '0xb2'

async function out(path: IscsiPath, action: number, options: ReserveOutOptions): Promise<number> {
  const { cdb, data } = persistentReserveOut(action, options)
  for (;;) {
    const { status } = await sendScsi(path, cdb, data)
    if (status !== 2) return status
  }
}

async function read(path: IscsiPath, action: number): Promise<Uint8Array> {
  const { cdb, data } = persistentReserveIn(action)
  for (;;) {
    const answer = await sendScsi(path, cdb, data)
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

describe('two paths of one host, one of them registered', () => {
  const shared = { type: ReservationType.WriteExclusiveRegistrants }
  const keys = async (path: IscsiPath) => decodeReservationKeys(await read(path, ReserveIn.ReadKeys)).keys

  async function host(made: Bed, options: Partial<IscsiOptions> = {}): Promise<MultipathDevice> {
    const target = made.host(options)
    const infos = await target.discover()
    const device = await openMultipath(
      made.volumes[0]!,
      infos.map((info) => ({ target, info })),
    )
    afterwards(() => device.close({ signal: AbortSignal.abort() }).catch(() => {}))
    await expect.poll(() => device.paths.filter(({ state }) => state === 'up'), { timeout: 10_000 }).toHaveLength(2)
    return device
  }

  /** Registers the first path, and reserves through it. */
  async function register(device: MultipathDevice): Promise<void> {
    const path = device.paths[0]!.id
    for (const { cdb, data } of [
      persistentReserveOut(ReserveOut.RegisterAndIgnore, { serviceKey: MINE }),
      persistentReserveOut(ReserveOut.Reserve, { key: MINE, ...shared }),
    ]) {
      expect((await sendScsi(device, cdb, data, { path })).status).toBe(0)
    }
  }

  /** A policy that always takes the last path. */
  const last = () => {
    let paths: readonly PathView[] = []
    return { name: 'last', update: (now: readonly PathView[]) => void (paths = now), select: () => paths.at(-1) }
  }

  const writeTo = (device: MultipathDevice) => run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 1)] })

  test('every write goes through the registered one, and the other says why it stands back', async () => {
    const made = await bed({ array: { portals: [{}, {}] } })
    const device = await host(made)
    await register(device)
    for (let n = 0; n < 10; n++) expect(await writeTo(device)).toBe(OK)
    device.setSelector(last)
    for (let n = 0; n < 10; n++) expect(await writeTo(device)).toBe(OK)
    expect(device.paths.map(({ reason }) => reason)).toEqual(['', expect.stringContaining('kept out by a reservation')])
    expect(device.paths[1]).toMatchObject({ troubles: { 'reservation conflict': 1 }, ios: 1, failures: 0 })
    await device.removePath(device.paths[0]!.id)
    expect(await writeTo(device)).toBe(Errno.EBADE)
  })

  test('a path that comes later is registered with the key of the host, once another one is', async () => {
    const made = await bed({ array: { portals: [{}, {}] } })
    const device = await host(made, { registerKey: MINE })
    const other = await made.open(0, 0, made.host({ initiator: 'iqn.2026-11.io.blockbraid:other' }))
    expect(await keys(other)).toEqual([])
    await register(device)
    const session = made.array.sessions.filter(({ initiatorName }) => initiatorName.endsWith(':host'))
    for (const each of session) each.cut()
    await expect.poll(() => keys(other), { timeout: 10_000 }).toHaveLength(2)
    for (let n = 0; n < 10; n++) expect(await writeTo(device)).toBe(OK)
    // Another host shuts this one out, and it stays out.
    expect(await out(other, ReserveOut.Register, { serviceKey: THEIRS })).toBe(0)
    expect(await out(other, ReserveOut.Preempt, { key: THEIRS, serviceKey: MINE, ...shared })).toBe(0)
    for (const each of made.array.sessions) if (each.initiatorName.endsWith(':host')) each.cut()
    await expect
      .poll(() => device.paths.filter(({ failures, state }) => failures > 1 && state === 'up'), { timeout: 10_000 })
      .toHaveLength(2)
    expect(await writeTo(device)).toBe(Errno.EBADE)
    expect(await keys(other)).toEqual([`0x${'b2'.padStart(16, '0')}`])
  })

  test('a path that was there before is registered when it meets the reservation', async () => {
    const made = await bed({ array: { portals: [{}, {}] } })
    const device = await host(made, { registerKey: 0xa1 })
    await register(device)
    device.setSelector(last)
    expect(await writeTo(device)).toBe(OK)
    const other = await made.open(0, 0, made.host({ initiator: 'iqn.2026-11.io.blockbraid:other' }))
    await expect.poll(() => keys(other), { timeout: 10_000 }).toHaveLength(2)
  })
})
