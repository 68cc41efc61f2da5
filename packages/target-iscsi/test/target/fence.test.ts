import type { Path } from '@blockbraid/core'
import { Errno, IoOp, OK, PATH_ERROR } from '@blockbraid/core'
import { hanging } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { sendScsi } from '../../src/scsi/send.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'
import type { Bed, BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, isPending, run } from './bed.ts'

const CUT = Errno.EIO | PATH_ERROR

/** Two volumes whose devices can hang. */
async function hangingBed(options: BedOptions = {}): Promise<Bed & { hang(volume: number): void; release(): void }> {
  const hangs: ReturnType<typeof hanging>[] = []
  const made = await bed({
    memory: {
      volumes: [
        { size: '1MiB', blockSize: BLOCK },
        { size: '1MiB', blockSize: BLOCK },
      ],
    },
    wrap: (device) => {
      const front = hanging(device)
      hangs.push(front)
      return front
    },
    ...options,
  })
  afterwards(async () => {
    for (const one of hangs) one.release()
  })
  return {
    ...made,
    hang: (volume) => hangs[volume]!.hang(),
    release: () => {
      for (const one of hangs) one.release()
    },
  }
}

const write = (path: Path, fill = 1) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, fill)] })

const goDown = (path: Path) => new Promise<Error>((resolve) => path.events.on('down', resolve))

const normal = ({ array }: Bed) => array.sessions.filter(({ discovery }) => !discovery)

async function inFlight(made: Bed): Promise<void> {
  await expect.poll(() => normal(made).some(({ inflight }) => inflight > 0)).toBe(true)
}

test('a path closed after another one has logged in anew is fenced by that login', async () => {
  const made = await hangingBed()
  const [first, second] = [await made.open(0, 0), await made.open(0, 1)]
  made.hang(1)
  const lost = write(second)
  await inFlight(made)
  const downs = [goDown(first), goDown(second)]
  normal(made)[0]!.cut()
  await Promise.all(downs)
  expect(await lost).toBe(CUT)
  await first.close()
  made.release()
  const again = await made.open(0, 0)
  await second.close({ signal: AbortSignal.timeout(5000) })
  expect(await write(again)).toBe(OK)
})

test('a path tells by what it was fenced, and nothing where nothing had to be', async () => {
  const made = await hangingBed()
  const [idle, lost] = [await made.open(0, 0), await made.open(0, 1)]
  made.hang(1)
  const write1 = write(lost)
  await inFlight(made)
  const downs = [goDown(idle), goDown(lost)]
  normal(made)[0]!.cut()
  await Promise.all([write1, ...downs])
  made.release()
  await Promise.all([idle.close(), lost.close()])
  expect(idle).not.toHaveProperty('fencedBy', expect.anything())
  expect(lost.fencedBy).toEqual({ by: 'session reinstated', assumed: false, took: expect.any(Number) })
})

test('a path that waits for its fence tells why that has failed so far', async () => {
  const made = await hangingBed()
  const path = await made.open(0, 0)
  made.hang(0)
  const lost = write(path)
  await inFlight(made)
  made.array.faults.login({ action: 'refuse', status: 0x0201 })
  const down = goDown(path)
  normal(made)[0]!.cut()
  await Promise.all([lost, down])
  const closed = path.close()
  await expect.poll(() => path.fenceFailure?.message).toMatch(/refused the login: authentication failed/)
  expect(await isPending(closed)).toBe(true)
  made.array.faults.heal()
  made.release()
  await closed
  expect(path.fencedBy).toMatchObject({ by: 'session reinstated' })
})

test('a path that aborts its writes in a session that lives on tells that', async () => {
  const made = await hangingBed()
  const path = await made.open(0, 0)
  made.hang(0)
  const cut = write(path)
  await inFlight(made)
  const closed = path.close()
  await cut
  made.release()
  await closed
  expect(path.fencedBy).toMatchObject({ by: 'tasks aborted', assumed: false })
  const read = await made.open(0, 0)
  await read.close()
  expect(read.fencedBy).toBeUndefined()
})

test('a path that closes in a live session aborts its writes, and leaves the session to the others', async () => {
  const made = await hangingBed()
  const [first, second] = [await made.open(0, 0), await made.open(0, 1)]
  made.hang(0)
  const ios = Array.from({ length: 3 }, () => write(first))
  await inFlight(made)
  const closed = first.close()
  for (const io of ios) expect(await io).toBe(CUT)
  expect(await isPending(closed)).toBe(true)
  made.release()
  await closed
  expect(made.array.counters.aborts).toBeGreaterThan(0)
  expect(await write(second)).toBe(OK)
  expect(made.array.counters.reinstatements).toBe(0)
})

test('where the target does not abort, the session is given up, and only a new login is proof', async () => {
  const made = await hangingBed()
  const path = await made.open(0, 0)
  made.array.faults.taskManagement({ response: 5 })
  made.hang(0)
  const io = write(path)
  await inFlight(made)
  const { logins, taskManagement } = made.array.counters
  const closed = path.close()
  expect(await io).toBe(CUT)
  await expect.poll(() => made.array.counters.taskManagement).toBeGreaterThan(taskManagement)
  expect(await isPending(closed)).toBe(true)
  made.release()
  await closed
  expect(made.array.counters.logins).toBe(logins + 1)
})

test('a path with nothing in flight closes at once, also where its portal is dead', async () => {
  const made = await bed()
  const path = await made.open()
  expect(await write(path)).toBe(OK)
  const down = goDown(path)
  await made.array.portals[0]!.down()
  await down
  await path.close()
})

test('close of the target ends paths that hang, as far as its signal waits; the fence is not claimed', async () => {
  const made = await hangingBed({ initiator: { taskTimeout: 100, loginTimeout: 200 } })
  const path = await made.open()
  made.hang(0)
  const io = write(path)
  await inFlight(made)
  await made.array.portals[0]!.down()
  expect(await io).toBe(CUT)
  const ending = made.target.close({ signal: AbortSignal.timeout(300) })
  await expect(ending).rejects.toMatchObject({ code: 'TIMED_OUT' })
  expect(await isPending(path.close())).toBe(true)
  await expect(made.target.discover()).rejects.toMatchObject({ code: 'CLOSED' })
  // Given up: no login is tried any more.
  await made.array.portals[0]!.up()
  const { connections } = made.array.counters
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(made.array.counters.connections).toBe(connections)
  made.release()
})

test('a write that fails after its good status fails the next flush, through whatever path it goes', async () => {
  const made = await bed({ array: { portals: [{ group: 1 }, { group: 1 }] } })
  const [first, second] = [await made.open(0), await made.open(1)]
  // The array tells of the old write when it answers the next command of that nexus.
  const bend = made.array.faults.wire({
    pdu: 'scsiResponse',
    count: 1,
    portal: 0,
    replace(pdu) {
      const copy = Buffer.from(pdu)
      copy[48 + 2] = 0x71
      return [copy]
    },
  })
  made.array.faults.command({ portal: 0, opcode: 0x28, count: 1, status: 2, sense: 0x03_0c00 })
  expect(await run(first, { op: IoOp.Read, buffers: [Buffer.alloc(BLOCK)] })).toBe(OK)
  expect(bend.hits).toBe(1)
  expect(await run(second, { op: IoOp.Flush })).toBe(Errno.EIO)
  expect(await run(second, { op: IoOp.Flush })).toBe(OK)
  expect(await run(first, { op: IoOp.Flush })).toBe(OK)
})

test('commands by hand that time out are aborted before the path closes', async () => {
  const made = await hangingBed()
  const path: IscsiPath = await made.open()
  made.hang(0)
  const cdb = Buffer.alloc(10)
  cdb[0] = 0x2a
  cdb[8] = 1
  await expect(sendScsi(path, cdb, Buffer.alloc(BLOCK, 3), { timeout: 100 })).rejects.toMatchObject({
    code: 'TIMED_OUT',
  })
  await expect(sendScsi(path, cdb, Buffer.alloc(BLOCK, 3), { signal: AbortSignal.timeout(100) })).rejects.toMatchObject(
    {
      code: 'ABORTED',
    },
  )
  const closed = path.close()
  made.release()
  await closed
  expect(made.array.counters.aborts).toBeGreaterThanOrEqual(1)
  await expect(sendScsi(path, cdb, Buffer.alloc(BLOCK))).rejects.toMatchObject({ code: 'CLOSED' })
})

test('a path that went down says so to commands by hand', async () => {
  const made = await hangingBed({ initiator: { taskTimeout: 300, pollInterval: 50 } })
  const path: IscsiPath = await made.open()
  made.hang(0)
  const cdb = Buffer.alloc(10)
  cdb[0] = 0x28
  cdb[8] = 1
  const answer = sendScsi(path, cdb, BLOCK)
  answer.catch(() => {})
  await inFlight(made)
  const down = goDown(path)
  // The disk at the LUN is another one now.
  made.array.attention('all', 0x3f0e)
  await made.array.unmap(0)
  await down
  await expect(answer).rejects.toMatchObject({ code: 'IO_FAILED' })
})
