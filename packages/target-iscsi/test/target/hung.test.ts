import type { Host, Path } from '@blockbraid/core'
import { IoOp, OK, openMultipath, systemHost } from '@blockbraid/core'
import type { Hanging } from '@blockbraid/testkit'
import { hanging } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import type { Bed, BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, isPending, run } from './bed.ts'

const TIMES = 20
const TEST_UNIT_READY = 0x00

/** Time that runs so many times faster, and is told so. */
const fast: Host = {
  clock: {
    now: () => systemHost.clock.now() * TIMES,
    after: (milliseconds, callback) => systemHost.clock.after(milliseconds / TIMES, callback),
    defer: (callback) => systemHost.clock.defer(callback),
  },
  random: Math.random,
}

const usual = { taskTimeout: 5000, loginTimeout: 10_000, pollInterval: 5000 }
const read = { op: IoOp.Read, length: BLOCK }
const write = (path: Path, fill = 1) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, fill)] })

async function many(count: number, options: BedOptions = {}): Promise<Bed & { readonly slow: readonly Hanging[] }> {
  const slow: Hanging[] = []
  const made = await bed({
    memory: { volumes: Array.from({ length: count }, () => ({ size: '64KiB' as const, blockSize: 512 as const })) },
    wrap(device) {
      const front = hanging(device, { ops: [IoOp.Write] })
      slow.push(front)
      return front
    },
    ...options,
    // What its storage has begun goes on when a login ends its session.
    array: { reinstate: 'lazy', ...options.array },
  })
  afterwards(async () => {
    for (const one of slow) one.release()
  })
  return { ...made, slow }
}

describe('a session that answers pings, and no command', () => {
  test('is given up for a new one, through which I/O goes on', async () => {
    const { array, target, info } = await bed({ host: fast, initiator: usual })
    const where = await info()
    const device = await openMultipath(where.volume, [{ target, info: where }], { host: fast })
    afterwards(() => device.close({ signal: AbortSignal.abort() }))
    const { logins } = array.counters
    // A command that is lost: those behind it are never its turn.
    const lost = array.faults.wire({ pdu: 'scsiCommand', drop: true, count: 1 })
    const writing = run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 1)] })
    await expect.poll(() => lost.hits).toBe(1)
    expect(await writing).toBe(OK)
    expect(array.counters.logins).toBe(logins + 1)
    expect(await run(device, read)).toBe(OK)
    expect(array.violations).toEqual([])
  }, 20_000)

  test('is no end of a fence: the question is asked again in a new one', async () => {
    const made = await many(1, { host: fast, initiator: usual })
    const path = await made.open()
    made.slow[0]!.hang()
    const lost = write(path)
    await expect.poll(() => made.slow[0]!.held).toBe(1)
    const mute = made.array.faults.wire({ pdu: 'scsiCommand', drop: true, count: 1 })
    for (const session of made.array.sessions) session.cut()
    await lost
    const closed = path.close()
    await expect.poll(() => mute.hits, { timeout: 5000 }).toBe(1)
    const asked = () => made.array.counters.commands[TEST_UNIT_READY] ?? 0
    const before = asked()
    await expect.poll(asked, { timeout: 5000 }).toBeGreaterThan(before)
    // It is no proof before the storage has worked off the write.
    expect(await isPending(closed)).toBe(true)
    made.slow[0]!.release()
    await closed
  }, 20_000)
})

test('a logical unit that hangs costs its neighbours their session rarely, and they are told why', async () => {
  const made = await many(2, { host: fast, initiator: usual })
  const path = await made.open(0, 1)
  made.slow[1]!.hang()
  const lost = write(path)
  await expect.poll(() => made.slow[1]!.held).toBe(1)
  for (const session of made.array.sessions) session.cut()
  await lost
  const closed = path.close()
  const neighbour = await made.open(0, 0)
  const down = new Promise<Error>((resolve) => neighbour.events.on('down', resolve))
  let ended = false
  void down.then(() => {
    ended = true
  })
  // Thirty seconds are 1.5 s here.
  const until = performance.now() + 30_000 / TIMES
  while (performance.now() < until) expect(await run(neighbour, read)).toBe(OK)
  expect(ended).toBe(false)
  while (!ended) await run(neighbour, read)
  expect((await down).message).toMatch(/^LUN 1 does not say that it has worked off what was sent to it: a new session/)
  await neighbour.close()
  expect(await isPending(closed)).toBe(true)
  made.slow[1]!.release()
  await closed
}, 20_000)

describe('a storage that takes six to eight seconds for each answer', () => {
  // In the time of the initiator.
  const SLOW = 7000 / TIMES

  test('is used like any other', async () => {
    const { array, target } = await bed({ host: fast, initiator: usual })
    array.faults.wire({ pdu: ['scsiResponse', 'dataIn'], delay: SLOW })
    const [where] = await target.discover()
    const device = await openMultipath(where!.volume, [{ target, info: where! }], { host: fast })
    afterwards(() => device.close({ signal: AbortSignal.abort() }))
    const until = performance.now() + 90_000 / TIMES
    while (performance.now() < until) {
      expect(await run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 1)] })).toBe(OK)
      expect(await run(device, read)).toBe(OK)
    }
    expect(device.paths[0]).toMatchObject({ state: 'up', failures: 0 })
  }, 40_000)

  test('also where it is one logical unit of an array that is quick else', async () => {
    const made = await many(2, { host: fast, initiator: usual })
    const where = await made.info(0, 0)
    const quick = await made.open(0, 1)
    made.array.faults.wire({ pdu: ['scsiResponse', 'dataIn'], lun: 0, delay: SLOW })
    const { target } = made
    const device = await openMultipath(where.volume, [{ target, info: where }], { host: fast })
    afterwards(() => device.close({ signal: AbortSignal.abort() }))
    const until = performance.now() + 90_000 / TIMES
    // Now and then it is idle, and polled.
    while (performance.now() < until) {
      expect(await run(device, read)).toBe(OK)
      const idle = performance.now() + 15_000 / TIMES
      while (performance.now() < idle) expect(await run(quick, read)).toBe(OK)
    }
    expect(device.paths[0]).toMatchObject({ state: 'up', failures: 0 })
  }, 40_000)
})

test('thirty logical units that hang do no harm to three others, whose session was lost with theirs', async () => {
  const SICK = 30
  const WELL = 3
  const made = await many(SICK + WELL, { initiator: { pollInterval: 1000 } })
  const { target } = made
  const infos = await target.discover()
  const devices = await Promise.all(
    infos.map((info) => openMultipath(info.volume, [{ target, info }], { multipath: { noPathTimeout: 5000 } })),
  )
  afterwards(async () => {
    for (const one of made.slow) one.release()
    await Promise.all(devices.map((device) => device.close({ signal: AbortSignal.timeout(2000) })))
  })
  const well = infos.flatMap(({ lun }, index) => (Number(lun) >= SICK ? [devices[index]!] : []))
  for (const one of made.slow) one.hang()
  const lost = devices.map((device) => run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, 1)] }))
  await expect.poll(() => made.slow.every(({ held }) => held === 1)).toBe(true)
  for (const session of made.array.sessions) session.cut()
  for (const one of made.slow.slice(SICK)) one.release()
  const done = lost.filter((_, index) => well.includes(devices[index]!))
  expect(await Promise.all(done)).toEqual(Array(WELL).fill(OK))
  for (let round = 0; round < 50; round++) {
    for (const device of well) {
      expect(await run(device, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, round)] })).toBe(OK)
    }
  }
  expect(well.map(({ state }) => state)).toEqual(Array(WELL).fill('active'))
  expect(devices.filter(({ state }) => state === 'stalled')).toHaveLength(SICK)
}, 40_000)

test('logical units that hang do not take the whole command window of the session from the others', async () => {
  const SICK = 4
  const made = await many(SICK + 1, { array: { window: 64 } })
  const paths: Path[] = []
  for (let lun = 0; lun <= SICK; lun++) paths.push(await made.open(0, lun))
  const well = paths[SICK]!
  for (const one of made.slow) one.hang()
  const lost = paths.slice(0, SICK).flatMap((path) => Array.from({ length: 64 }, () => write(path)))
  await expect.poll(() => made.slow.reduce((sum, { held }) => sum + held, 0)).toBeGreaterThan(40)
  for (let round = 0; round < 100; round++) expect(await run(well, read)).toBe(OK)
  for (const one of made.slow) one.release()
  expect(await Promise.all(lost)).toEqual(Array(SICK * 64).fill(OK))
  expect(made.array.violations).toEqual([])
}, 20_000)

test.each(['lun-reset', 'session'] as const)(
  'a logical unit that aborts nothing, with fence: %s',
  async (fence) => {
    const made = await many(2, { initiator: { fence, taskTimeout: 500 } })
    const [path, neighbour] = [await made.open(0, 0), await made.open(0, 1)]
    const downs: Error[] = []
    neighbour.events.on('down', (error) => downs.push(error))
    made.slow[0]!.hang()
    const lost = write(path)
    await expect.poll(() => made.slow[0]!.held).toBe(1)
    made.array.faults.taskManagement({ function: 1, response: 5 })
    const closed = path.close()
    await lost
    setTimeout(() => made.slow[0]!.release(), 100)
    await closed
    // With a reset it costs the others nothing.
    await expect.poll(() => downs.length).toBe(fence === 'lun-reset' ? 0 : 1)
    if (fence === 'lun-reset') expect(await run(neighbour, read)).toBe(OK)
  },
  20_000,
)
