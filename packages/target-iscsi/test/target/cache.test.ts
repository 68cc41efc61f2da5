import type { BlockDevice, DeviceLimits, Path } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, OK } from '@blockbraid/core'
import { describe, expect, test, vi } from 'vitest'
import { sendScsi } from '../../src/scsi/send.ts'
import type { Bed, BedOptions } from './bed.ts'
import { BLOCK, bed, run } from './bed.ts'

const TWO_PORTALS: BedOptions = {
  memory: { volumes: [{ size: '1MiB', blockSize: BLOCK }], ports: 1 },
  array: { portals: [{}, {}] },
}
const INQUIRY_CHANGED = 0x3f03

const write = (path: BlockDevice) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 7)] })
const flush = (path: BlockDevice) => run(path, { op: IoOp.Flush, length: 0 })

/** What a path tells of lost caches. */
function lossesOf(path: Path): string[] {
  const told: string[] = []
  path.events.on('cacheLost', (why) => void told.push(why))
  return told
}

/** A bed whose array has told each nexus all that a login gives it to tell. */
async function quietBed(options: BedOptions = {}): Promise<Bed> {
  return bed({ ...options, array: { loginAttention: false, ...options.array } })
}

describe('a unit attention of a reset in a living session', () => {
  test.each([
    ['power on, reset or bus device reset', 0x2900, true],
    ['power on', 0x2901, true],
    ['bus reset', 0x2902, false],
    ['logical unit reset', 0x2903, false],
    ['device internal reset', 0x2904, true],
    ['transceiver mode', 0x2905, false],
    ['transceiver mode', 0x2906, false],
    ['nexus loss', 0x2907, false],
    ['a kind that is not known', 0x2980, true],
    ['no reset at all', INQUIRY_CHANGED, false],
  ])('%s (%i): the path tells that a cache may be lost, once', async (_name, code, loses) => {
    const { array, open, volumes } = await quietBed()
    const path = await open()
    const told = lossesOf(path)
    expect(await write(path)).toBe(OK)
    array.attention(volumes[0]!, code)
    let atEnd: number | undefined
    // The command that hears of it is the flush itself: it is told before that ends.
    const flushed = flush(path).then((status) => {
      atEnd = told.length
      return status
    })
    expect(await flushed).toBe(OK)
    expect(atEnd).toBe(loses ? 1 : 0)
    expect(await write(path)).toBe(OK)
    const hex = code.toString(16)
    expect(told).toEqual(
      loses ? [`${path.id} was powered on or reset: unit attention (06/${hex.slice(0, 2)}/${hex.slice(2)})`] : [],
    )
  })

  test('a path of a volume without a volatile cache tells nothing', async () => {
    const { array, open, volumes } = await quietBed({
      memory: { volumes: [{ size: '1MiB', blockSize: BLOCK, writeCache: false }] },
    })
    const path = await open()
    const told = lossesOf(path)
    array.attention(volumes[0]!, 0x2900)
    expect(await write(path)).toBe(OK)
    expect(told).toEqual([])
  })

  test.each([
    ['a discovery', (made: Bed) => made.target.discover()],
    ['a command of a user', (_: Bed, path: Path) => sendScsi(path, new Uint8Array(6))],
    ['a trim', (_: Bed, path: Path) => run(path, { op: IoOp.Trim, length: BLOCK })],
    [
      'an async message',
      (made: Bed) => {
        made.array.sessions[0]!.message({ event: 0, sense: 0x062900 })
        return vi.waitUntil(() => made.array.sessions.length > 0)
      },
    ],
  ] as const)('%s hears of it, and the path tells once', async (name, ask) => {
    const made = await quietBed()
    const path = await made.open()
    const told = lossesOf(path)
    if (name !== 'an async message') made.array.attention(made.volumes[0]!, 0x2900)
    await ask(made, path)
    await vi.waitUntil(() => told.length > 0)
    expect(await flush(path)).toBe(OK)
    expect(await write(path)).toBe(OK)
    expect(told).toHaveLength(1)
    // It was heard: a path that is opened now has nothing to tell.
    await path.close()
    expect((await made.open()).wasReset).toBe(false)
  })

  test('of one path makes the others hear of theirs at once, so that one reset is told at one time', async () => {
    const { array, open, volumes } = await quietBed(TWO_PORTALS)
    const [one, other] = [await open(0), await open(1)]
    const told = [lossesOf(one), lossesOf(other)]
    array.attention(volumes[0]!, 0x2900)
    expect(await write(one)).toBe(OK)
    await vi.waitUntil(() => told[1]!.length > 0)
    expect(told.map(({ length }) => length)).toEqual([1, 1])
  })
})

describe('a reset that is told before the path is open', () => {
  test('while it is opened: the path says so', async () => {
    const { array, open, info, target, volumes } = await quietBed()
    const first = await open()
    expect(first.wasReset).toBe(false)
    await first.close()
    const at = await info()
    array.attention(volumes[0]!, 0x2900)
    const path = await target.connect(at)
    expect(path.wasReset).toBe(true)
    await path.close()
    expect((await target.connect(at)).wasReset).toBe(false)
  })

  test('to a discovery that came first: the path says so, unless the volume has no cache', async () => {
    for (const writeCache of [true, false]) {
      const { array, info, target, volumes } = await quietBed({
        memory: { volumes: [{ size: '1MiB', blockSize: BLOCK, writeCache }] },
      })
      const at = await info()
      // The session is kept for a moment, and this uses it.
      array.attention(volumes[0]!, 0x2901)
      await target.discover()
      expect((await target.connect(at)).wasReset).toBe(writeCache)
    }
  })

  test('a login that tells of the loss of the nexus alone is none', async () => {
    const { open } = await bed()
    await (await open()).close()
    const path = await open()
    path.close()
    expect((await open()).wasReset).toBe(false)
  })
})

/** Answers the next command of an opcode that an earlier command has failed. */
function defer({ array }: Bed, opcode: number): void {
  array.faults.command({ opcode, status: 2, sense: 0x03_0c00, count: 1 })
  let sent = false
  array.faults.wire({
    pdu: 'scsiResponse',
    replace(pdu) {
      if (sent || pdu[3] !== 2) return [pdu]
      sent = true
      const copy = Buffer.from(pdu)
      copy[48 + 2] = 0x71
      return [copy]
    },
  })
}

describe('a deferred error: an acknowledged write has failed', () => {
  const WRITE = 0x2a

  test('the next flush fails, once', async () => {
    const made = await quietBed()
    const path = await made.open()
    defer(made, WRITE)
    expect(await write(path)).toBe(OK)
    expect(await flush(path)).toBe(Errno.EIO)
    expect(await flush(path)).toBe(OK)
  })

  test('every flush fails that was under way, of whichever path, and none later', async () => {
    const held: (() => void)[] = []
    let holds = false
    const made = await quietBed({
      ...TWO_PORTALS,
      wrap: (device) => ({
        get limits() {
          return device.limits
        },
        submit: (io) => {
          if (holds && io.op === IoOp.Flush) held.push(() => device.submit(io))
          else device.submit(io)
        },
        close: (options) => device.close(options),
      }),
    })
    const [one, other] = [await made.open(0), await made.open(1)]
    holds = true
    const flushes = [flush(one), flush(one), flush(other)]
    await vi.waitUntil(() => held.length === 3)
    defer(made, WRITE)
    expect(await write(other)).toBe(OK)
    for (const go of held) go()
    expect(await Promise.all(flushes)).toEqual([Errno.EIO, Errno.EIO, Errno.EIO])
    holds = false
    expect(await flush(one)).toBe(OK)
  })

  test('that a command hears before the path is open fails its first flush', async () => {
    const made = await quietBed()
    const at = await made.info()
    const path = await made.target.connect(at)
    await path.close()
    defer(made, 0x12)
    await made.target.discover()
    const again = await made.target.connect(at)
    expect(await flush(again)).toBe(Errno.EIO)
    expect(await flush(again)).toBe(OK)
  })
})

const withoutFua = (limits: DeviceLimits): DeviceLimits => ({ ...limits, fua: false })

describe('a write cache that is switched at run time', () => {
  const off: BedOptions = { memory: { volumes: [{ size: '1MiB', blockSize: BLOCK, writeCache: false }] } }

  test('is heard of by unit attention, and flushes reach it from then on', async () => {
    const { array, open, storage } = await quietBed(off)
    const path = await open()
    expect(path.limits.writeCache).toBe(false)
    const limits: boolean[] = []
    path.events.on('limits', ({ writeCache }) => void limits.push(writeCache))
    storage.setWriteCache(0, true)
    expect(await write(path)).toBe(OK)
    expect(limits).toEqual([true])
    storage.setWriteCache(0, false)
    expect(await write(path)).toBe(OK)
    expect(limits).toEqual([true, false])
    expect(array.violations).toEqual([])
  })

  test('while a zeroing with Fua is under way: it is flushed at its end', async () => {
    const { array, open, storage } = await quietBed(off)
    const path = await open()
    storage.setWriteCache(0, true)
    expect(await run(path, { op: IoOp.WriteZeroes, flags: IoFlag.Fua, length: BLOCK })).toBe(OK)
    expect((array.counters.commands[0x35] ?? 0) + (array.counters.commands[0x91] ?? 0)).toBe(1)
  })

  test('a write with Fua, and a flush, succeed where the cache goes, and with it what the disk knows of either', async () => {
    let gone = false
    const { array, open, storage } = await quietBed({
      wrap: (device) => ({
        get limits() {
          return gone ? withoutFua(device.limits) : device.limits
        },
        submit: (io) => device.submit(io),
        close: (options) => device.close(options),
      }),
    })
    const path = await open()
    gone = true
    storage.setWriteCache(0, false)
    // Like LIO, the array refuses FUA where there is no write cache.
    array.faults.command({ opcode: 0x35, status: 2, sense: 0x05_2000 })
    expect(await run(path, { op: IoOp.Write, flags: IoFlag.Fua, buffers: [Buffer.alloc(BLOCK)] })).toBe(OK)
    expect(path.limits).toMatchObject({ writeCache: false, fua: false })
    expect(await flush(path)).toBe(OK)
  })

  test('is heard of where the array does not tell: by the poll', async () => {
    const { array, open, storage } = await quietBed({ ...off, initiator: { pollInterval: 10 } })
    const path = await open()
    const told = new Promise((resolve) => path.events.on('limits', ({ writeCache }) => resolve(writeCache)))
    array.faults.wire({
      pdu: 'scsiResponse',
      replace(pdu) {
        const good = Buffer.from(pdu.subarray(0, 48))
        good[3] = 0
        good.writeUInt32BE(0, 4)
        return [good]
      },
    })
    storage.setWriteCache(0, true)
    expect(await told).toBe(true)
  })

  test('is read again after a MODE SELECT of a user, which is told to every nexus but this one', async () => {
    const { array, open } = await quietBed()
    const path = await open()
    const before = array.counters.commands[0x5a] ?? 0
    array.faults.wire({
      pdu: 'scsiResponse',
      count: 1,
      replace(pdu) {
        const good = Buffer.from(pdu.subarray(0, 48))
        good[3] = 0
        good.writeUInt32BE(0, 4)
        return [good]
      },
    })
    expect((await sendScsi(path, new Uint8Array([0x15, 0x10, 0, 0, 0, 0]))).status).toBe(0)
    await vi.waitUntil(() => (array.counters.commands[0x5a] ?? 0) > before)
  })
})
