import type { BlockDevice, IoStatus } from '@blockbraid/core'
import { errnoOf, IoOp, isPathError, OK } from '@blockbraid/core'
import { hanging } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import * as cdb from '../../src/scsi/cdb.ts'
import { sendScsi } from '../../src/scsi/send.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'
import type { Bed, BedOptions } from './bed.ts'
import { BLOCK, bed, run } from './bed.ts'

const MINE = 7
const FOREIGN = 9
const BHS = 48
const SERIAL_PAGE = 0x80
const LUNS_CHANGED = 0x3f0e

/** Two volumes, of which the first is at LUN 0; the second is full of something else. */
async function twoVolumes(options: BedOptions = {}): Promise<Bed> {
  const made = await bed({
    memory: {
      volumes: [
        { size: '1MiB', blockSize: BLOCK },
        { size: '1MiB', blockSize: BLOCK },
      ],
    },
    mapped: [0],
    ...options,
  })
  const fill = Buffer.alloc(2 ** 20, FOREIGN)
  expect(await run(made.devices[1]!, { op: IoOp.Write, buffers: [fill] })).toBe(OK)
  return made
}

/** Puts the second volume at LUN 0. */
function remap({ array, volumes, devices }: Bed): Promise<void> {
  return array.map({ lun: 0, volume: volumes[1]!, device: devices[1]! })
}

/** Puts the second volume at LUN 0 when the array has told the serial number, the last of who it is. */
function remapAfterIdentity(made: Bed): { readonly done: boolean } {
  const state = { done: false }
  made.array.faults.wire({
    pdu: 'dataIn',
    replace(pdu) {
      if (!state.done && pdu.length > BHS + 4 && pdu[BHS + 1] === SERIAL_PAGE && pdu[BHS] === 0) {
        state.done = true
        void remap(made)
      }
      return [pdu]
    },
  })
  return state
}

const write = (path: IscsiPath) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, MINE)] })

function untouched({ storage }: Bed): void {
  expect(storage.peek(1, 0, 2 ** 20).every((byte) => byte === FOREIGN)).toBe(true)
}

function downOf(path: IscsiPath): Promise<Error> {
  return new Promise((resolve) => path.events.on('down', resolve))
}

async function isLost(made: Bed, path: IscsiPath, status: IoStatus, down: Promise<Error>): Promise<void> {
  untouched(made)
  expect(isPathError(status)).toBe(true)
  expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
  await path.close()
  untouched(made)
}

describe('a LUN that leads to another volume now', () => {
  test('takes no write, and the path goes down', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    const down = downOf(path)
    await remap(made)
    await isLost(made, path, await write(path), down)
    await expect(made.target.connect({ ...(await made.info()), volume: made.volumes[0]! })).rejects.toMatchObject({
      code: 'IDENTITY_CHANGED',
    })
  })

  test('changed while the path looked who it is', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    const down = downOf(path)
    made.array.attention(made.volumes[0]!, LUNS_CHANGED)
    const exchanged = remapAfterIdentity(made)
    const status = await write(path)
    expect(exchanged.done).toBe(true)
    await isLost(made, path, status, down)
  })

  test('changed while it was connected', async () => {
    const made = await twoVolumes()
    const info = await made.info()
    const exchanged = remapAfterIdentity(made)
    const opened = await made.target.connect(info).then(
      (path) => path as IscsiPath,
      (error: unknown) => error,
    )
    expect(exchanged.done).toBe(true)
    if (!(opened instanceof Error)) await write(opened as IscsiPath)
    untouched(made)
    expect(opened).toMatchObject({ code: 'IDENTITY_CHANGED' })
  })

  test('and a discovery over the same session heard of it first', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    const down = downOf(path)
    await remap(made)
    await made.target.discover()
    await isLost(made, path, await write(path), down)
  })

  test('and a connect over the same session heard of it first', async () => {
    const made = await twoVolumes()
    const info = await made.info()
    const path = await made.open()
    const down = downOf(path)
    await remap(made)
    await expect(made.target.connect(info)).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' })
    await isLost(made, path, await write(path), down)
  })

  test('and a command sent by hand heard of it first', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    const down = downOf(path)
    await remap(made)
    // Two unit attentions are queued: inquiry data changed, reported LUNs changed.
    await Promise.allSettled([1, 2].map(() => sendScsi(path, cdb.testUnitReady().cdb)))
    await isLost(made, path, await write(path), down)
  })

  test('gives none of its data to reads that were sent before the path knew', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    await remap(made)
    const reads = Array.from({ length: 8 }, () => Buffer.alloc(BLOCK))
    const ended = await Promise.all(reads.map((buffer) => run(path, { op: IoOp.Read, buffers: [buffer] })))
    for (const status of ended) expect(isPathError(status)).toBe(true)
  })

  test('gives no view of its data either', async () => {
    const made = await twoVolumes()
    const path = await made.open()
    await remap(made)
    const ended = await Promise.all(Array.from({ length: 8 }, () => run(path, { op: IoOp.Read, length: BLOCK })))
    for (const status of ended) expect(isPathError(status)).toBe(true)
  })

  test('is not trimmed by what was begun before', async () => {
    let trimmed: (BlockDevice & { hang(): void; release(): void; readonly held: number }) | undefined
    const made = await twoVolumes({
      wrap: (device, number) => {
        if (number > 0) return device
        trimmed = hanging(device, { ops: [IoOp.Trim, IoOp.WriteZeroes] })
        return trimmed
      },
    })
    // Only few blocks at once, so that a trim takes many commands.
    const short = made.array.faults.wire({
      pdu: 'dataIn',
      replace(pdu) {
        if (pdu.length > BHS + 44 && pdu[BHS + 1] === 0xb0 && pdu[BHS] === 0) {
          pdu.writeUInt32BE(64, BHS + 20)
          pdu.writeUInt32BE(1, BHS + 24)
        }
        return [pdu]
      },
    })
    const path = await made.open()
    short.remove()
    const down = downOf(path)
    trimmed!.hang()
    const trim = run(path, { op: IoOp.Trim, length: 2 ** 20 })
    await expect.poll(() => trimmed!.held).toBe(1)
    await remap(made)
    // What the path asks is answered late.
    made.array.faults.wire({ pdu: 'dataIn', delay: 100 })
    const reads = [1, 2].map(() => run(path, { op: IoOp.Read, buffers: [Buffer.alloc(BLOCK)] }))
    const { commands } = made.array.counters
    await expect.poll(() => commands[0x12] ?? 0).toBeGreaterThan(0)
    trimmed!.release()
    const status = await trim
    for (const one of await Promise.all(reads)) expect(isPathError(one)).toBe(true)
    await isLost(made, path, status, down)
  })
})

test('reads and writes in flight while a check finds the same volume end well', async () => {
  const made = await twoVolumes()
  const path = await made.open()
  const fill = Buffer.alloc(BLOCK, MINE)
  for (let round = 0; round < 20; round++) {
    made.array.attention('all', [LUNS_CHANGED, 0x2900, 0x2a01, 0x2a09, 0x2a06][round % 5]!)
    const writes = Array.from({ length: 16 }, (_, block) =>
      run(path, { op: IoOp.Write, offset: block * BLOCK, buffers: [fill] }),
    )
    const views = Array.from({ length: 8 }, () => run(path, { op: IoOp.Read, length: BLOCK }))
    for (const status of await Promise.all([...writes, ...views])) expect(errnoOf(status)).toBe(0)
  }
  expect(made.storage.peek(0, 0, 16 * BLOCK).every((byte) => byte === MINE)).toBe(true)
})

test('a LUN taken away under load ends the path, and the others go on', async () => {
  const made = await twoVolumes({ mapped: [0, 1] })
  const [gone, stays] = [await made.open(0, 0), await made.open(0, 1)]
  const down = downOf(gone)
  const load = Array.from({ length: 32 }, () => run(gone, { op: IoOp.Read, length: BLOCK }))
  await made.array.unmap(0)
  await Promise.all(load)
  const status = await write(gone)
  expect(isPathError(status)).toBe(true)
  expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
  expect(await run(stays, { op: IoOp.Read, length: BLOCK })).toBe(OK)
})
