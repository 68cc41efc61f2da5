import { describe, expect, it } from 'vitest'
import type { Path, ScsiAnswer, ScsiOptions } from '../src/index.ts'
import { BlockError, userDevice } from '../src/index.ts'
import { isIdempotent, judge } from '../src/scsi.ts'
import type { Rig } from './support/rig.ts'
import { FakeTarget, open, VOLUME } from './support/rig.ts'

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
const lost = (): BlockError => new BlockError('IO_FAILED', 'the connection was lost')

/** One command that reached a path. */
interface Seen {
  readonly path: string
  readonly cdb: Uint8Array
  readonly data: Uint8Array | number
  readonly options: ScsiOptions
}
/** What a path does with a command: an answer, an error, or nothing until the signal fires. */
type Script = ScsiAnswer | Error | 'nothing'

/** A device whose paths answer SCSI commands as `scripts` say, each its last script again and again. */
async function openScsi(...scripts: (Script[] | undefined)[]): Promise<Rig & { seen: Seen[] }> {
  const seen: Seen[] = []
  const target = new FakeTarget(scripts.length)
  target.prepare = (path) => {
    const script = scripts[Number(path.id.split(':')[1])]?.slice()
    if (script === undefined) return
    path.scsi = (cdb, data = 0, options = {}) => {
      seen.push({ path: path.id, cdb, data, options })
      const next = script.length > 1 ? script.shift() : script[0]
      if (next instanceof Error) return Promise.reject(next)
      if (next === 'nothing') return new Promise(() => {})
      return Promise.resolve(next as ScsiAnswer)
    }
  }
  return { ...(await open(scripts.length, {}, target)), seen }
}

const pathsOf = (seen: readonly Seen[]): string[] => seen.map(({ path }) => path)
const text = ({ data }: ScsiAnswer): string => new TextDecoder().decode(data)
const ok = answer(GOOD, undefined, 'the answer')

describe('a SCSI command', () => {
  it('goes through a usable path, and its answer comes back as it is', async () => {
    const { device, seen } = await openScsi([answer(CONFLICT, fixed(5, 0x24, 0))], [ok])
    const got = await device.scsi(reserve, parameters)
    expect(got).toEqual(answer(CONFLICT, fixed(5, 0x24, 0)))
    expect(seen).toMatchObject([{ path: 'fake:0', cdb: reserve, data: parameters }])
  })

  it('goes through an optimized path where there is one, and through a standby one where there is no other', async () => {
    const { device, target, seen } = await openScsi([ok], [ok])
    target.path(0).setAccess('non-optimized')
    await device.scsi(inquiry, 96)
    target.path(1).setAccess('unavailable')
    await device.scsi(inquiry, 96)
    target.path(0).setAccess('standby')
    expect(device.state).toBe('stalled')
    await device.scsi(inquiry, 96)
    expect(pathsOf(seen)).toEqual(['fake:1', 'fake:0', 'fake:0'])
  })

  it('goes through the path that is named, and no other', async () => {
    const { device, seen, host, target } = await openScsi([ok], [lost(), ok])
    await expect(device.scsi(inquiry, 96, { path: 'fake:1' })).rejects.toMatchObject({ code: 'IO_FAILED' })
    expect(text(await device.scsi(inquiry, 96, { path: 'fake:1' }))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:1', 'fake:1'])
    await expect(device.scsi(inquiry, 96, { path: 'fake:7' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    target.refuse.set('fake:1', 'cable pulled')
    target.path(1).events.emit('down', new Error('cable pulled'))
    await host.clock.advance(500)
    await expect(device.scsi(inquiry, 96, { path: 'fake:1' })).rejects.toMatchObject({
      code: 'NO_PATH',
      message: 'path fake:1 is waiting: cable pulled',
    })
  })

  it('moves when its path fails before an answer, if it may run twice', async () => {
    const { device, seen } = await openScsi([lost()], [new BlockError('CLOSED', 'closed')], [ok])
    expect(text(await device.scsi(inquiry, 96))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1', 'fake:2'])
  })

  it('does not move then if it may not run twice, and says that it may have run', async () => {
    const { device, seen } = await openScsi([lost()], [ok])
    await expect(device.scsi(reserve, parameters)).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: 'path fake:0 failed before it answered (the connection was lost); the command may have run',
    })
    expect(pathsOf(seen)).toEqual(['fake:0'])
  })

  it.each([
    ['BUSY', answer(BUSY)],
    ['TASK SET FULL', answer(TASK_SET_FULL)],
    ['transitioning', checked(2, 0x04, 0x0a)],
    ['standby', checked(2, 0x04, 0x0b)],
    ['unavailable, descriptor sense', answer(CHECK_CONDITION, descriptor(2, 0x04, 0x0c))],
    ['no such logical unit', checked(5, 0x25, 0)],
  ])('moves where the answer says that it did not run: %s', async (_name, refusal) => {
    const { device, seen } = await openScsi([refusal], [ok])
    expect(text(await device.scsi(reserve, parameters))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1'])
  })

  it('gives the last answer where it ran on no path', async () => {
    const { device, seen } = await openScsi([answer(BUSY)], [checked(2, 0x04, 0x0b)])
    expect(await device.scsi(reserve, parameters)).toEqual(checked(2, 0x04, 0x0b))
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1'])
    const half = await openScsi([answer(BUSY)], [lost()])
    expect(await half.device.scsi(inquiry, 96)).toEqual(answer(BUSY))
  })

  it('is sent again after unit attentions, on the same path', async () => {
    const { device, seen } = await openScsi([checked(6, 0x29, 0), checked(6, 0x3f, 0x0e), ok], [ok])
    expect(text(await device.scsi(reserve, parameters))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:0', 'fake:0'])
  })

  it('is not sent for ever to a path that always has unit attentions', async () => {
    const { device, seen } = await openScsi([checked(6, 0x29, 0)])
    expect(await device.scsi(reserve, parameters)).toEqual(checked(6, 0x29, 0))
    expect(seen.length).toBe(9)
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
    expect(await device.scsi(inquiry, 96)).toEqual(no)
    expect(pathsOf(seen)).toEqual(['fake:0'])
  })

  it('passes errors of the path on that are none of the connection', async () => {
    const { device, seen } = await openScsi([new BlockError('NOT_SUPPORTED', 'no long CDBs')], [ok])
    await expect(device.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'NOT_SUPPORTED', message: 'no long CDBs' })
    expect(pathsOf(seen)).toEqual(['fake:0'])
  })

  it('goes through the paths that take SCSI commands, where others do not', async () => {
    const { device, seen } = await openScsi(undefined, [ok])
    await device.scsi(inquiry, 96)
    expect(pathsOf(seen)).toEqual(['fake:1'])
    await expect(device.scsi(inquiry, 96, { path: 'fake:0' })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'path fake:0 takes no SCSI commands',
    })
  })

  it('is refused where no path takes any, and where none is up', async () => {
    const { device, target } = await openScsi(undefined, undefined)
    await expect(device.scsi(inquiry, 96)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: `no path to volume ${VOLUME} that is up takes SCSI commands`,
    })
    for (const index of [0, 1]) target.path(index).events.emit('down', new Error('gone'))
    await expect(device.scsi(inquiry, 96)).rejects.toMatchObject({
      code: 'NO_PATH',
      message: `no path to volume ${VOLUME} is up`,
    })
  })

  it('ends after its time, whatever the paths do, and gives them what is left', async () => {
    const { device, host, seen } = await openScsi(['nothing'])
    const sent = device.scsi(inquiry, 96, { timeout: 700 })
    const ended = expect(sent).rejects.toMatchObject({
      code: 'TIMED_OUT',
      message: 'no answer within 700 ms; the command may have run',
    })
    await host.clock.advance(699)
    expect(seen[0]?.options.signal?.aborted).toBe(false)
    await host.clock.advance(1)
    await ended
    expect(seen[0]?.options).toMatchObject({ timeout: 700 })
    expect(seen[0]?.options.signal?.aborted).toBe(true)
  })

  it('has 30 seconds for all its tries together', async () => {
    const { device, host, target, seen } = await openScsi([ok], ['nothing'])
    let fail: (error: Error) => void = () => {}
    target.path(0).scsi = (cdb, data = 0, options = {}) => {
      seen.push({ path: 'fake:0', cdb, data, options })
      return new Promise((_resolve, reject) => (fail = reject))
    }
    const ended = expect(device.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'TIMED_OUT' })
    await host.clock.advance(10_000)
    fail(lost())
    await host.clock.advance(0)
    expect(seen.map(({ options }) => options.timeout)).toEqual([30_000, 20_000])
    await host.clock.advance(20_000)
    await ended
  })

  it('leaves no timer behind', async () => {
    const { device, host } = await openScsi([ok])
    const before = host.clock.timers
    await device.scsi(inquiry, 96)
    expect(host.clock.timers).toBe(before)
  })

  it('is called off by its signal, before and while it is under way', async () => {
    const { device, seen } = await openScsi(['nothing'], [ok])
    const stop = new AbortController()
    const ended = expect(device.scsi(inquiry, 96, { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await Promise.resolve()
    stop.abort()
    await ended
    expect(seen[0]?.options.signal?.aborted).toBe(true)
    await expect(device.scsi(inquiry, 96, { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(pathsOf(seen)).not.toContain('fake:1')
  })

  it('ends with its device', async () => {
    const { device, host } = await openScsi(['nothing'])
    const ended = expect(device.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    await host.clock.runUntil(device.close())
    await ended
    await expect(device.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('a SCSI command to a user device', () => {
  it('goes on as it is', async () => {
    const { device, host, seen } = await openScsi([ok], [ok])
    const user = userDevice(device, host.clock)
    expect(text(await user.scsi(inquiry, 96, { path: 'fake:1', timeout: 5 }))).toBe('the answer')
    expect(seen).toMatchObject([{ path: 'fake:1', cdb: inquiry, data: 96, options: { timeout: 5 } }])
    await user.scsi(reserve)
    expect(seen[1]).toMatchObject({ path: 'fake:0', data: 0 })
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
    const { device, host, seen } = await openScsi([ok])
    const sent = userDevice(device, host.clock).scsi(cdb as Uint8Array, data as number, { timeout: timeout as number })
    await expect(sent).rejects.toThrow(new TypeError(message))
    expect(seen).toEqual([])
  })

  it('of another kind is refused', async () => {
    const { device, host } = await open(1)
    const plain = { limits: device.limits, submit: () => {}, close: async () => {} }
    const user = userDevice(plain, host.clock)
    await expect(user.scsi(inquiry)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'this device takes no SCSI commands',
    })
  })

  it('ends when that is closed, though others use the device below', async () => {
    const { device, host, seen } = await openScsi(['nothing'])
    const user = userDevice(device, host.clock, async () => {})
    const ended = expect(user.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    await host.clock.runUntil(user.close())
    await ended
    await expect(user.scsi(inquiry, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    expect(seen.length).toBe(1)
    expect(device.state).toBe('active')
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
    expect(isIdempotent(command)).toBe(true)
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
    expect(isIdempotent(command)).toBe(false)
  })
})

it('judges any sense data without an error', () => {
  let seed = 1
  const random = (): number => (seed = (seed * 48271) % 2147483647) & 0xff
  for (let round = 0; round < 20_000; round++) {
    const sense = Uint8Array.from({ length: random() % 20 }, random)
    expect(['ran', 'again', 'elsewhere']).toContain(judge(answer(random(), sense)))
  }
})

// A path of SCSI as a plugin writes it, against the types.
const typed: Pick<Path, 'scsi'> = { scsi: async () => ok }
void typed
