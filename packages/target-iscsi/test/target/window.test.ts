import type { IoStatus } from '@blockbraid/core'
import { Io, IoOp, OK } from '@blockbraid/core'
import type { VirtualClock } from '@blockbraid/testkit'
import { createVirtualClock } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import { lunOf } from '../../src/scsi/lun.ts'
import type { Session } from '../../src/session/session.ts'
import { Task } from '../../src/session/task.ts'
import type { Nexus } from '../../src/target/nexus/nexus.ts'
import { IscsiPath } from '../../src/target/path/path.ts'
import { readIdentity, untoldDisk } from '../../src/target/unit/disk.ts'

const BLOCK = 512
const BLOCKS = 2048
const INTERVAL = 5000
// From a command to its answer, milliseconds.
const TRIP = 20
const INQUIRIES = 4

/** A logical unit in virtual time that can be exchanged in silence, as LIO does it. */
class Unit {
  readonly clock: VirtualClock
  volume = 'a'
  serial = '1'
  /** When each write came to a volume that is not `a`, ms. */
  readonly wrong: number[] = []
  inquiries = 0
  /** Status and sense of the next write. */
  refuse: { readonly key: number; readonly asc: number } | undefined
  #answering = true

  constructor(clock: VirtualClock) {
    this.clock = clock
  }

  get session(): Session {
    let index = 0
    const session = {
      listeners: new Set(),
      unfenced: new Set(),
      error: undefined,
      negotiated: { targetPortalGroupTag: 1 },
      take: () => new Task(index++),
      send: (task: Task) =>
        void this.clock.after(TRIP, () => {
          if (!this.#answering) return
          this.#run(task)
          task.done(task)
        }),
      detach: () => {
        this.#answering = false
        return true
      },
      tasksOf: () => [],
      abort: async () => true,
    }
    return session as unknown as Session
  }

  #run(task: Task): void {
    task.status = 0
    const [opcode, evpd, page] = task.cdb
    if (opcode === 0x2a || opcode === 0x8a) {
      if (this.volume !== 'a') this.wrong.push(this.clock.now() / 1000)
      if (this.refuse !== undefined) this.#check(task, this.refuse)
      this.refuse = undefined
    } else if (opcode === 0x12) {
      this.inquiries++
      this.#give(task, evpd === 0 ? this.#standard() : this.#page(page as number))
    } else if (opcode === 0x9e) {
      const data = Buffer.alloc(32)
      data.writeUInt32BE(BLOCKS - 1, 4)
      data.writeUInt32BE(BLOCK, 8)
      this.#give(task, data)
    } else if (opcode !== 0) {
      this.#check(task, { key: 5, asc: 0x20 })
    }
  }

  #give(task: Task, data: Buffer): void {
    data.copy(task.buffers[0] as Uint8Array)
    task.received = Math.min(data.length, task.length)
    task.residual = task.length - task.received
  }

  #check(task: Task, { key, asc }: { readonly key: number; readonly asc: number }): void {
    task.status = 2
    task.sense = Uint8Array.of(0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, 0, 0, 0, 0, 0)
  }

  #standard(): Buffer {
    const data = Buffer.alloc(36, ' ')
    data.set([0, 0, 6, 2, 31, 0, 0, 0])
    return data
  }

  #page(page: number): Buffer {
    if (page === 0) return Buffer.from([0, 0, 0, 3, 0, 0x80, 0x83])
    if (page === 0x80) return Buffer.concat([Buffer.from([0, 0x80, 0, 1]), Buffer.from(this.serial)])
    const name = Buffer.from(`6001405${'0'.repeat(24)}${this.volume}`, 'hex')
    return Buffer.concat([Buffer.from([0, 0x83, 0, 20, 1, 3, 0, 16]), name])
  }
}

const PLACE = {
  initiator: 'iqn.2026-11.test:host',
  isid: new Uint8Array(6),
  targetName: 'iqn.2026-11.test:array',
  portal: { host: '127.0.0.1', port: 3260, address: '127.0.0.1:3260' },
}

async function open(pollInterval = INTERVAL) {
  const clock = createVirtualClock()
  const unit = new Unit(clock)
  const { session } = unit
  const lun = lunOf(1)
  const identity = await clock.runUntil(
    readIdentity({ session, owner: {}, lun, options: { clock, timeout: 5000, signal: new AbortController().signal } }),
  )
  const disk = untoldDisk({ size: BLOCKS * BLOCK, blockSize: BLOCK }, { queueDepth: 8, maxTransfer: 65_536 })
  const path = new IscsiPath(
    {
      clock,
      taskTimeout: 5000,
      pollInterval,
      queueDepth: 8,
      maxTransfer: 65_536,
      changed: () => {},
      lastDisk: () => disk,
      writeLost: () => {},
      takeWriteLost: () => false,
      resetHeard: () => {},
      fencedByReset: () => new Promise(() => {}),
      gone: () => {},
    },
    { release: () => {}, fenced: async () => {}, place: PLACE } as unknown as Nexus,
    session,
    lun,
    'path',
    { identity: identity!, disk, access: 'optimized', wasReset: false },
  )
  const down: Error[] = []
  path.events.on('down', (error) => down.push(error))
  return { clock, unit, path, down }
}

function write(path: IscsiPath): Promise<IoStatus> {
  const io = new Io()
  io.op = IoOp.Write
  io.length = BLOCK
  io.buffers = [Buffer.alloc(BLOCK)]
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    path.submit(io)
  })
}

/** Writes again and again, some at once, until the path refuses. */
function load(path: IscsiPath): void {
  for (let count = 0; count < 4; count++) {
    const again = (): void => void write(path).then((status) => status === OK && again())
    again()
  }
}

describe('a LUN that leads to another volume without a word', () => {
  // What is promised in docs/targets/iscsi.md: one interval, and the answers of the checks on either side of it.
  const bound = INTERVAL + 2 * INQUIRIES * TRIP + TRIP

  test.each(Array.from({ length: 12 }, (_, step) => 3 + step * 457))(
    'takes writes of a busy path for one poll interval at most, when it is exchanged after %i ms',
    async (after) => {
      const { clock, unit, path, down } = await open()
      load(path)
      await clock.advance(12_000 + after)
      const exchanged = clock.now() / 1000
      unit.volume = 'b'
      await clock.advance(2 * INTERVAL)
      expect(down).toMatchObject([{ code: 'IDENTITY_CHANGED' }])
      expect(Math.max(0, ...unit.wrong) - exchanged).toBeLessThanOrEqual(bound)
    },
  )

  test('is found by its serial number, too', async () => {
    const { clock, unit, path, down } = await open()
    load(path)
    unit.serial = '2'
    await clock.advance(bound)
    expect(down).toMatchObject([{ code: 'IDENTITY_CHANGED', message: expect.stringContaining('serial number 2') }])
  })

  test('takes no write after a pause in which nobody could look', async () => {
    const { clock, unit, path, down } = await open()
    // As after SIGSTOP: time has passed, and no timer has fired.
    const { now } = clock
    clock.now = () => now() + 3 * INTERVAL * 1000
    unit.volume = 'b'
    const written = write(path)
    await clock.advance(1000)
    expect(await written).not.toBe(OK)
    expect(down).toMatchObject([{ code: 'IDENTITY_CHANGED' }])
    expect(unit.wrong).toEqual([])
  })

  test('after such a pause a write to the volume it was goes on once that is known', async () => {
    const { clock, unit, path } = await open()
    const { now } = clock
    clock.now = () => now() + 3 * INTERVAL * 1000
    const before = unit.inquiries
    const written = write(path)
    await clock.advance(1000)
    expect(await written).toBe(OK)
    expect(unit.inquiries - before).toBe(INQUIRIES)
  })

  test.each([
    ['a block address out of range', { key: 5, asc: 0x21 }],
    ['changed parameters', { key: 6, asc: 0x2a }],
    ['write protection', { key: 7, asc: 0x27 }],
    ['no such logical unit', { key: 5, asc: 0x25 }],
    ['a medium that may have changed', { key: 6, asc: 0x28 }],
    ['changed inquiry data', { key: 6, asc: 0x3f }],
  ])('is found at once where the array reports %s', async (_what, sense) => {
    const { clock, unit, path, down } = await open()
    unit.volume = 'b'
    unit.refuse = sense
    const status = write(path)
    await clock.advance(1000)
    expect(await status).not.toBe(OK)
    expect(down).toMatchObject([{ code: 'IDENTITY_CHANGED' }])
    expect(unit.wrong).toHaveLength(1)
  })
})
