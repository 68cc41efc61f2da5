import type { Path, PathEvents, VolumeId } from '@blockbraid/core'
import { createEmitter, openMultipath, userDevice } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { ScsiAnswer } from '../../src/scsi/command-set.ts'
import { scsiCommands } from '../../src/scsi/command-set.ts'
import { sendScsi } from '../../src/scsi/send.ts'

const VOLUME: VolumeId = 'naa.60000000000000000000000000000001'
const GOOD = 0x00
const CHECK_CONDITION = 0x02
const BUSY = 0x08
const CONFLICT = 0x18
const TASK_SET_FULL = 0x28

const inquiry = Uint8Array.of(0x12, 0, 0, 0, 96, 0)
const reserve = Uint8Array.of(0x5f, 0x01, 0x05, 0, 0, 0, 0, 0, 24, 0)
const parameters = new Uint8Array(24).fill(7)

const answer = (status: number, sense: Uint8Array = new Uint8Array(0), text = ''): ScsiAnswer => ({
  status,
  sense,
  data: new TextEncoder().encode(text),
  residual: 0,
})
const fixed = (key: number, asc: number, ascq: number, form = 0x70): Uint8Array =>
  Uint8Array.of(form, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0)
const descriptor = (key: number, asc: number, ascq: number, form = 0x72): Uint8Array =>
  Uint8Array.of(form, key, asc, ascq, 0, 0, 0, 0)
const checked = (key: number, asc: number, ascq: number): ScsiAnswer => answer(CHECK_CONDITION, fixed(key, asc, ascq))

const limits: Path['limits'] = {
  size: 1024 * 1024,
  blockSize: 512,
  preferredBlockSize: 512,
  maxTransfer: 65536,
  queueDepth: 1,
  writeCache: false,
  fua: true,
  trim: false,
  writeZeroes: false,
  readOnly: false,
}

/** A path for commands alone. */
function pathOf(id: string, commands?: Path['commands']): Path {
  return {
    id,
    volume: VOLUME,
    access: 'optimized',
    limits,
    events: createEmitter<PathEvents>(),
    submit: () => {},
    close: async () => {},
    ...(commands === undefined ? {} : { commands }),
  }
}

/** A device whose paths answer SCSI commands as `scripts` say, each its last answer again and again. */
async function openScsi(...scripts: ScsiAnswer[][]) {
  const seen: string[] = []
  const paths = scripts.map((script, index) => {
    const id = `fake:${index}`
    const rest = script.slice()
    const commands = scsiCommands(async () => {
      seen.push(id)
      return (rest.length > 1 ? rest.shift() : rest[0]) as ScsiAnswer
    })
    return pathOf(id, commands)
  })
  const target = {
    name: 'fake',
    discover: async () => [],
    connect: async ({ id }: { id: string }) => paths.find((path) => path.id === id) as Path,
    close: async () => {},
  }
  const { size, blockSize } = limits
  const sources = paths.map(({ id }) => ({ target, info: { id, address: id, volume: VOLUME, size, blockSize } }))
  return { device: await openMultipath(VOLUME, sources), seen }
}

const text = ({ data }: ScsiAnswer): string => new TextDecoder().decode(data)
const ok = answer(GOOD, undefined, 'the answer')
const set = scsiCommands(async () => ok)

describe('a SCSI command', () => {
  it.each([
    ['BUSY', answer(BUSY)],
    ['TASK SET FULL', answer(TASK_SET_FULL)],
    ['transitioning', checked(2, 0x04, 0x0a)],
    ['standby', checked(2, 0x04, 0x0b)],
    ['unavailable, descriptor sense', answer(CHECK_CONDITION, descriptor(2, 0x04, 0x0c))],
    ['no such logical unit', checked(5, 0x25, 0)],
  ])('moves where the answer says that it did not run: %s', async (_name, refusal) => {
    const { device, seen } = await openScsi([refusal], [ok])
    expect(text(await sendScsi(device, reserve, parameters))).toBe('the answer')
    expect(seen).toEqual(['fake:0', 'fake:1'])
  })

  it('is sent again after unit attentions, on the same path', async () => {
    const { device, seen } = await openScsi([checked(6, 0x29, 0), checked(6, 0x3f, 0x0e), ok], [ok])
    expect(text(await sendScsi(device, reserve, parameters))).toBe('the answer')
    expect(seen).toEqual(['fake:0', 'fake:0', 'fake:0'])
  })

  it.each([
    ['a medium error', checked(3, 0x11, 0)],
    ['not ready for another reason', checked(2, 0x3a, 0)],
    ['becoming ready', checked(2, 0x04, 0x01)],
    ['an illegal request', checked(5, 0x24, 0)],
    ['a deferred error', answer(CHECK_CONDITION, fixed(6, 0x29, 0, 0x71))],
    ['a deferred error in a descriptor', answer(CHECK_CONDITION, descriptor(6, 0x29, 0, 0x73))],
    ['no sense data', answer(CHECK_CONDITION)],
    ['sense data that is cut', answer(CHECK_CONDITION, Uint8Array.of(0x70, 0, 2))],
    ['vendor sense data', answer(CHECK_CONDITION, Uint8Array.of(0x7f, 6, 0x29, 0))],
    ['RESERVATION CONFLICT', answer(CONFLICT)],
  ])('does not move where the volume said no: %s', async (_name, no) => {
    const { device, seen } = await openScsi([no], [ok])
    expect(await sendScsi(device, inquiry, 96)).toEqual(no)
    expect(seen).toEqual(['fake:0'])
  })

  it('goes to a path by hand, too, and to no path of another protocol', async () => {
    const seen: unknown[] = []
    const path = pathOf(
      'one',
      scsiCommands(async (...sent) => {
        seen.push(sent)
        return ok
      }),
    )
    expect(await sendScsi(path, inquiry, 96, { timeout: 5 })).toBe(ok)
    expect(seen).toEqual([[inquiry, 96, { timeout: 5 }]])
    const refused = { code: 'NOT_SUPPORTED', message: 'this device takes no SCSI commands' }
    await expect(sendScsi(pathOf('two', { ...set, protocol: 'other' }), inquiry)).rejects.toMatchObject(refused)
    await expect(sendScsi(pathOf('three'), inquiry)).rejects.toMatchObject(refused)
    await expect(sendScsi(userDevice(pathOf('four')), inquiry)).rejects.toMatchObject(refused)
  })

  it.each([
    [[1, 2, 3], 0, undefined, 'cdb is object; it must be a Uint8Array'],
    [new Uint8Array(5), 0, undefined, 'cdb has 5 bytes; a command descriptor block has 6 to 260'],
    [new Uint8Array(261), 0, undefined, 'cdb has 261 bytes; a command descriptor block has 6 to 260'],
    [inquiry, -1, undefined, 'data is -1; it must be the bytes to send, or how many to receive, below 2 ** 32'],
    [inquiry, 'text', undefined, 'data is text; it must be the bytes to send, or how many to receive, below 2 ** 32'],
    [inquiry, 0, 0, 'timeout is 0; it must be 1 to 2147483647 milliseconds'],
    [inquiry, 0, Number.NaN, 'timeout is NaN; it must be 1 to 2147483647 milliseconds'],
  ])('with wrong arguments is a TypeError: %#', async (cdb, data, timeout, message) => {
    const { device, seen } = await openScsi([ok])
    const sent = sendScsi(userDevice(device), cdb as Uint8Array, data as number, { timeout: timeout as number })
    await expect(sent).rejects.toThrow(new TypeError(message))
    expect(seen).toEqual([])
  })
})

describe('idempotent commands', () => {
  const cdb = (opcode: number, action = 0): Uint8Array => Uint8Array.of(opcode, action, 0, 0, 0, 0, 0, 0, 0, 0)
  const long = (action: number): Uint8Array => Uint8Array.of(0x7f, 0, 0, 0, 0, 0, 0, 24, action >> 8, action & 0xff)

  it.each([
    ['TEST UNIT READY', cdb(0x00)],
    ['INQUIRY', cdb(0x12)],
    ['MODE SENSE (6)', cdb(0x1a)],
    ['MODE SENSE (10)', cdb(0x5a)],
    ['READ CAPACITY (10)', cdb(0x25)],
    ['READ CAPACITY (16)', cdb(0x9e, 0x10)],
    ['GET LBA STATUS', cdb(0x9e, 0x12)],
    ['READ (10)', cdb(0x28)],
    ['READ (16)', cdb(0x88)],
    ['READ (32)', long(0x0009)],
    ['VERIFY (32)', long(0x000a)],
    ['SYNCHRONIZE CACHE (10)', cdb(0x35)],
    ['SYNCHRONIZE CACHE (16)', cdb(0x91)],
    ['REPORT LUNS', cdb(0xa0)],
    ['REPORT TARGET PORT GROUPS', cdb(0xa3, 0x0a)],
    ['REPORT TARGET PORT GROUPS, long header', cdb(0xa3, 0x2a)],
    ['REPORT SUPPORTED OPERATION CODES', cdb(0xa3, 0x0c)],
    ['PERSISTENT RESERVE IN', cdb(0x5e, 0x03)],
    ['LOG SENSE', cdb(0x4d)],
  ])('%s may run twice', (_name, command) => {
    expect(set.mayRepeat(command)).toBe(true)
  })

  it.each([
    ['WRITE (10)', cdb(0x2a)],
    ['WRITE (16)', cdb(0x8a)],
    ['WRITE (32)', long(0x000b)],
    ['WRITE SAME (16)', cdb(0x93)],
    ['COMPARE AND WRITE', cdb(0x89)],
    ['UNMAP', cdb(0x42)],
    ['PERSISTENT RESERVE OUT', cdb(0x5f)],
    ['SET TARGET PORT GROUPS', cdb(0xa4, 0x0a)],
    ['MODE SELECT (6)', cdb(0x15)],
    ['START STOP UNIT', cdb(0x1b)],
    ['FORMAT UNIT', cdb(0x04)],
    ['RESERVE (6)', cdb(0x16)],
    ['SERVICE ACTION IN (16), of a vendor', cdb(0x9e, 0x1f)],
    ['MAINTENANCE IN, of a vendor', cdb(0xa3, 0x1f)],
    ['a cut CDB', Uint8Array.of(0x7f)],
  ])('%s may not', (_name, command) => {
    expect(set.mayRepeat(command)).toBe(false)
  })
})

describe('commands that change', () => {
  const cdb = (opcode: number, action = 0): Uint8Array => Uint8Array.of(opcode, action, 0, 0, 0, 0, 0, 0, 0, 0)

  it.each([
    ['WRITE (10)', cdb(0x2a), true],
    ['UNMAP', cdb(0x42), true],
    ['COMPARE AND WRITE', cdb(0x89), true],
    ['a variable length CDB', Uint8Array.of(0x7f), true],
    ['READ (32)', Uint8Array.of(0x7f, 0, 0, 0, 0, 0, 0, 24, 0, 9), false],
    ['READ (10)', cdb(0x28), false],
    ['INQUIRY', inquiry, false],
    ['PERSISTENT RESERVE OUT', reserve, false],
  ])('data: %s', (_name, command, changes) => {
    expect(set.mayChangeData(command)).toBe(changes)
  })

  it('reservations: PERSISTENT RESERVE OUT that was good', () => {
    expect(set.changedReservations(reserve, ok)).toBe(true)
    expect(set.changedReservations(reserve, answer(CONFLICT))).toBe(false)
    expect(set.changedReservations(cdb(0x5e), ok)).toBe(false)
  })
})

it('judges any sense data without an error', () => {
  let seed = 1
  const random = (): number => (seed = (seed * 48271) % 2147483647) & 0xff
  for (let round = 0; round < 20_000; round++) {
    const sense = Uint8Array.from({ length: random() % 20 }, random)
    expect(['ran', 'again', 'elsewhere']).toContain(set.verdict(answer(random(), sense)))
  }
})
