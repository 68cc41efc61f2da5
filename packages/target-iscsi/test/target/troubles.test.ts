import type { PathTrouble } from '@blockbraid/core'
import { Errno, Io, IoOp, OK } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { CommandTroubles } from '../../src/target/path/command-troubles.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'
import type { Bed } from './bed.ts'
import { BLOCK, bed, fastHost, run } from './bed.ts'

const READ = 0x28
const WRITE = 0x2a
const FLUSH = 0x35

function listen(path: IscsiPath): PathTrouble[] {
  const told: PathTrouble[] = []
  path.events.on('trouble', (trouble) => told.push(trouble))
  return told
}

const read = (path: IscsiPath, block = 0) =>
  run(path, { op: IoOp.Read, offset: block * BLOCK, buffers: [Buffer.alloc(BLOCK)] })
const write = (path: IscsiPath, block = 0) =>
  run(path, { op: IoOp.Write, offset: block * BLOCK, buffers: [Buffer.alloc(BLOCK)] })

const where = (made: Bed): string => `LUN 0 through ${made.array.portals[0]!.address}`

describe('a path tells', () => {
  it.each([
    ['a medium error', READ, 2, 0x031100, 'medium error', 'error', 'medium error, unrecovered read error (03/11/00)'],
    [
      'a full pool',
      WRITE,
      2,
      0x072707,
      'no space left to allocate',
      'error',
      'data protect, no space left to allocate (07/27/07)',
    ],
    [
      'that somebody must look after the array',
      READ,
      2,
      0x020403,
      'not ready',
      'warning',
      'not ready, manual intervention required (02/04/03)',
    ],
  ] as const)('%s in words, with LUN, portal and block', async (_what, opcode, status, sense, kind, severity, text) => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    made.array.faults.command({ opcode, status, ...(sense === undefined ? {} : { sense }), count: 1 })
    const what = opcode === READ ? 'read' : 'write'
    await (opcode === READ ? read(path, 17) : write(path, 17))
    expect(told).toEqual([{ kind, severity, count: 1, text: `${text}; ${what} at block 17, ${where(made)}` }])
  })

  it('a reservation conflict, and what it may want', async () => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    made.array.faults.command({ opcode: WRITE, status: 0x18, count: 1 })
    expect(await write(path, 17)).toBe(Errno.EBADE)
    const advice = 'a reservation lets this path in only when it is registered with a key that it accepts'
    const text = `reservation conflict; write at block 17, ${where(made)}; ${advice}`
    expect(told).toEqual([{ kind: 'reservation conflict', severity: 'error', count: 1, text }])
  })

  it('the block that the sense data names, and not the first of the command', async () => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    made.array.faults.command({ opcode: READ, status: 2, sense: 0x031100, count: 1 })
    made.array.faults.wire({
      pdu: 'scsiResponse',
      count: 1,
      replace(pdu) {
        const copy = Buffer.from(pdu)
        copy[50] = 0xf0
        copy.writeUInt32BE(21, 53)
        return [copy]
      },
    })
    expect(await run(path, { op: IoOp.Read, offset: 0, buffers: [Buffer.alloc(64 * BLOCK)] })).toBe(Errno.ENODATA)
    expect(told[0]?.text).toContain('read at block 21, ')
  })

  it('a flush, a trim and a zeroing that fail, by their names', async () => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    for (const opcode of [FLUSH, 0x91, 0x42, 0x41, 0x93]) {
      made.array.faults.command({ opcode, status: 2, sense: 0x044400, count: 1 })
    }
    expect(await run(path, { op: IoOp.Flush })).toBe(Errno.EIO)
    expect(told[0]?.text).toBe(`hardware error, internal target failure (04/44/00); flush, ${where(made)}`)
    expect(await run(path, { op: IoOp.Trim, offset: 8 * BLOCK, length: 8 * BLOCK })).toBe(Errno.EIO)
    await path.close()
    expect(told[1]).toMatchObject({
      kind: 'hardware error',
      count: 1,
      text: expect.stringContaining('unmap at block 8'),
    })
  })

  it('that an I/O went well with recovery only', async () => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    made.array.faults.command({ opcode: FLUSH, status: 2, sense: 0x015d00, count: 1 })
    made.array.faults.command({ opcode: 0x91, status: 2, sense: 0x015d00, count: 1 })
    expect(await run(path, { op: IoOp.Flush })).toBe(OK)
    const text = `succeeded with recovery: recovered error, failure predicted (01/5d/00); flush, ${where(made)}`
    expect(told).toEqual([{ kind: 'succeeded with recovery', severity: 'warning', count: 1, text }])
  })

  it('nothing where unit attentions only bring news', async () => {
    const made = await bed()
    const path = await made.open()
    const told = listen(path)
    made.array.faults.command({ opcode: READ, status: 2, sense: 0x062900, count: 1 })
    expect(await read(path)).toBe(OK)
    expect(told).toEqual([])
    made.array.faults.command({ opcode: READ, status: 2, sense: 0x063807, count: 1 })
    expect(await read(path)).toBe(OK)
    expect(told).toMatchObject([{ kind: 'thin provisioning threshold reached', severity: 'warning' }])
  })

  it('why it is lost before its Ios end: what the array said, or what the socket said', async () => {
    const made = await bed({ host: fastHost(20), initiator: { taskTimeout: 60_000, loginTimeout: 60_000 } })
    const path = await made.open()
    made.array.faults.command({ opcode: WRITE, status: 2, sense: 0x0b4400 })
    await write(path, 3)
    expect(path.failure?.message).toBe(
      `aborted command, internal target failure (0b/44/00); write at block 3, ${where(made)}`,
    )
    made.array.faults.heal()
    const again = await made.open()
    made.array.faults.wire({ pdu: 'dataIn', drop: true })
    const io = new Io()
    io.op = IoOp.Read
    io.length = BLOCK
    io.buffers = [Buffer.alloc(BLOCK)]
    const lost = new Promise<string | undefined>((resolve) => {
      io.done = () => resolve(again.failure?.message)
    })
    again.submit(io)
    const down = new Promise<Error>((resolve) => again.events.on('down', resolve))
    for (const session of made.array.sessions) session.cut()
    const words = /the target closed the connection|reset \(ECONNRESET\)/
    expect(await lost).toMatch(words)
    expect((await down).message).toMatch(words)
  })

  it('a storm as one event at once and one every five seconds, with the count', async () => {
    const { clock } = { clock: createVirtualClock() }
    const told: PathTrouble[] = []
    const troubles = new CommandTroubles(clock, 'LUN 0', (trouble) => told.push(trouble))
    const fail = (kind: string, severity: PathTrouble['severity'], block: number): void =>
      troubles.add({ kind, severity, what: 'read', block, sense: undefined })
    for (let n = 0; n < 1000; n++) {
      fail('medium error', n === 500 ? 'error' : 'warning', n)
      fail('busy', 'warning', n)
      await clock.advance(10)
    }
    await clock.advance(20_000)
    expect(told.map(({ kind, count, severity }) => [kind, count, severity])).toEqual([
      ['medium error', 1, 'warning'],
      ['busy', 1, 'warning'],
      ['medium error', 499, 'warning'],
      ['busy', 499, 'warning'],
      ['medium error', 500, 'error'],
      ['busy', 500, 'warning'],
    ])
    expect(clock.timers).toBe(0)
  })

  it('what it had only counted when it ends, and nothing after that', async () => {
    const { clock } = { clock: createVirtualClock() }
    const told: PathTrouble[] = []
    const troubles = new CommandTroubles(clock, 'LUN 0', (trouble) => told.push(trouble))
    for (let n = 0; n < 3; n++) {
      troubles.add({ kind: 'busy', severity: 'warning', what: 'read', block: n, sense: undefined })
    }
    troubles.stop()
    troubles.add({ kind: 'busy', severity: 'warning', what: 'read', block: 9, sense: undefined })
    expect(told.map(({ count, text }) => [count, text])).toEqual([
      [1, 'busy; read at block 0, LUN 0'],
      [2, 'busy; read at block 2, LUN 0'],
    ])
    expect(clock.timers).toBe(0)
  })
})
