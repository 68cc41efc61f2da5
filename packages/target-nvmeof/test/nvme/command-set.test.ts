import type { Path, PathEvents, VolumeId } from '@blockbraid/core'
import { createEmitter, openMultipath, userDevice } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { getFeature, getLog, identify, keepAlive, setFeature, setQueues } from '../../src/nvme/admin.ts'
import type { NvmeCommand, NvmeRequest } from '../../src/nvme/command.ts'
import type { NvmeAnswer } from '../../src/nvme/command-set.ts'
import { nvmeCommands } from '../../src/nvme/command-set.ts'
import { connect } from '../../src/nvme/fabrics.ts'
import { compare, deallocate, flush, read, verify, write, writeZeroes } from '../../src/nvme/io.ts'
import {
  reservationAcquire,
  reservationRegister,
  reservationRelease,
  reservationReport,
} from '../../src/nvme/reserve.ts'
import { sendNvme } from '../../src/nvme/send.ts'
import { DNR } from '../../src/nvme/status.ts'

const VOLUME: VolumeId = 'uuid.00000000-0000-0000-0000-000000000001'
const CONFLICT = 0x83
const range = { lba: 0, blocks: 1 }
const block = new Uint8Array(512)

const answer = (status: number, text = ''): NvmeAnswer => ({
  status,
  result: 0,
  resultHigh: 0,
  data: new TextEncoder().encode(text),
})

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

/** A device whose paths answer NVMe commands as `scripts` say, each its last answer again and again. */
async function openNvme(...scripts: NvmeAnswer[][]) {
  const seen: string[] = []
  const paths = scripts.map((script, index) => {
    const id = `fake:${index}`
    const rest = script.slice()
    const commands = nvmeCommands(async () => {
      seen.push(id)
      return (rest.length > 1 ? rest.shift() : rest[0]) as NvmeAnswer
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

const text = ({ data }: NvmeAnswer): string => new TextDecoder().decode(data)
const ok = answer(0, 'the answer')
const set = nvmeCommands(async () => ok)
const acquire = reservationAcquire(1, 0, { type: 1 })

describe('an NVMe command', () => {
  it.each([
    ['inaccessible', 0x302],
    ['transition', 0x303],
    ['persistent loss', 0x301],
    ['inaccessible, though it is said to be final', 0x302 | DNR],
    ['not ready', 0x82],
    ['not ready, with a delay', 0x0882],
    ['authentication required', 0x191],
  ])('moves where the answer says that it did not run: %s', async (_name, status) => {
    const { device, seen } = await openNvme([answer(status)], [ok])
    expect(text(await sendNvme(device, acquire.command, acquire.data))).toBe('the answer')
    expect(seen).toEqual(['fake:0', 'fake:1'])
  })

  it.each([
    ['a medium error', 0x281],
    ['not ready for ever', 0x82 | DNR],
    ['no such namespace', 0x0b],
    ['invalid field', 0x02],
    ['interrupted', 0x21],
    ['aborted', 0x07],
    ['a queue that was deleted', 0x08],
    ['an internal error of the path', 0x300],
    ['a vendor status', 0x7ff],
    ['a reservation conflict', CONFLICT],
  ])('does not move where it may have run, or the volume said no: %s', async (_name, status) => {
    const { device, seen } = await openNvme([answer(status)], [ok])
    expect(await sendNvme(device, acquire.command, acquire.data)).toEqual(answer(status))
    expect(seen).toEqual(['fake:0'])
  })

  it('goes to a path by hand, too, and to no path of another protocol', async () => {
    const seen: unknown[] = []
    const path = pathOf(
      'one',
      nvmeCommands(async (...sent) => {
        seen.push(sent)
        return ok
      }),
    )
    const { command, data } = identify(1)
    expect(await sendNvme(path, command, data, { timeout: 5 })).toBe(ok)
    expect(seen).toEqual([[command, 4096, { timeout: 5 }]])
    const refused = { code: 'NOT_SUPPORTED', message: expect.stringMatching(/^this device takes no NVMe commands$/i) }
    await expect(sendNvme(pathOf('two', { ...set, protocol: 'scsi' }), command)).rejects.toMatchObject(refused)
    await expect(sendNvme(pathOf('three'), command)).rejects.toMatchObject(refused)
    await expect(sendNvme(userDevice(pathOf('four')), command)).rejects.toMatchObject(refused)
  })

  const direct = (fields: Partial<NvmeCommand>): NvmeCommand => ({ admin: true, opcode: 6, ...fields })
  const own = "is the connection's own, and is not sent by hand"
  it.each<[unknown, unknown, string]>([
    [direct({ admin: 1 as never }), 0, 'admin is 1; it must be true or false'],
    [direct({ opcode: 256 }), 0, 'opcode: 256 is not an integer from 0 to 255'],
    [direct({ nsid: -1 }), 0, 'nsid: -1 is not an integer from 0 to 4294967295'],
    [direct({ cdw13: 0.5 }), 0, 'cdw13: 0.5 is not an integer from 0 to 4294967295'],
    [direct({}), -1, 'data is -1; it must be the bytes to send, or how many to receive, below 2 ** 32'],
    [direct({}), 'x', 'data is x; it must be the bytes to send, or how many to receive, below 2 ** 32'],
    [direct({}), block, 'opcode 06h sends no data; data must be a number'],
    [direct({ admin: false, opcode: 1 }), 512, 'opcode 01h receives no data; data must be the bytes to send'],
    [direct({ admin: false, opcode: 0 }), 512, 'opcode 00h receives no data; data must be 0'],
    [direct({ opcode: 0xc3 }), 0, 'opcode c3h sends and receives data; that is not served'],
    [direct({ opcode: 0x0c }), 0, `Asynchronous Event Request ${own}`],
    [direct({ opcode: 0x01 }), 0, `Create I/O Submission Queue ${own}`],
    [setFeature(0x0f, 60_000).command, 0, `Set Features of the keep alive timeout ${own}`],
    [setFeature(0x0b, 0).command, 0, `Set Features of the asynchronous events ${own}`],
    [setQueues(4).command, 0, `Set Features of the number of queues ${own}`],
  ])('with wrong arguments is a TypeError: %#', async (command, data, message) => {
    const { device, seen } = await openNvme([ok])
    const sent = sendNvme(userDevice(device), command as NvmeCommand, data as number)
    await expect(sent).rejects.toThrow(new TypeError(message))
    expect(seen).toEqual([])
  })

  it('of the fabric is refused on every queue', async () => {
    const { device } = await openNvme([ok])
    for (const admin of [true, false]) {
      await expect(sendNvme(device, { admin, opcode: 0x7f })).rejects.toThrow('sends and receives data')
    }
  })
})

const idempotent: [name: string, request: NvmeRequest][] = [
  ['Identify', identify(1)],
  ['Get Features', getFeature(0x0f)],
  ['Keep Alive', keepAlive()],
  ['Get Log Page of errors', getLog(1, 64)],
  ['Get Log Page of ANA', getLog(0x0c, 4096)],
  ['Read', read(1, range, 512)],
  ['Compare', compare(1, range, block)],
  ['Verify', verify(1, range)],
  ['Flush', flush(1)],
  ['Reservation Report', reservationReport(1)],
]

const once: [name: string, request: NvmeRequest][] = [
  ['Write', write(1, range, block)],
  ['Write Zeroes', writeZeroes(1, range)],
  ['Dataset Management', deallocate(1, [range])],
  ['Reservation Register', reservationRegister(1, 0)],
  ['Reservation Acquire', acquire],
  ['Reservation Release', reservationRelease(1, 0)],
  ['Set Features', setFeature(0x06, 0)],
  // It forgets what it has told.
  ['Get Log Page of changed namespaces', getLog(4, 4096)],
  ['Format NVM', { command: { admin: true, opcode: 0x80 }, data: 0 }],
  ['what is not known', { command: { admin: false, opcode: 0xc1 }, data: 0 }],
]

describe('a command may be sent twice', () => {
  it.each(idempotent)('%s', (_name, { command }) => {
    expect(set.mayRepeat(command)).toBe(true)
    expect(set.mayChangeData(command)).toBe(false)
  })

  it.each(once)('and may not: %s', (_name, { command }) => {
    expect(set.mayRepeat(command)).toBe(false)
  })

  it('and what changes data never may', () => {
    const all = Array.from({ length: 512 }, (_, index) => ({ admin: index > 255, opcode: index & 0xff }))
    expect(all.filter((command) => set.mayRepeat(command) && set.mayChangeData(command))).toEqual([])
  })
})

describe('commands that change', () => {
  it.each<[string, NvmeCommand, boolean]>([
    ['Write', write(1, range, block).command, true],
    ['Write Zeroes', writeZeroes(1, range).command, true],
    ['Dataset Management', deallocate(1, [range]).command, true],
    ['Write Uncorrectable', { admin: false, opcode: 0x04 }, true],
    ['Copy', { admin: false, opcode: 0x19 }, true],
    ['Zone Append', { admin: false, opcode: 0x7d }, true],
    ['an I/O command of a vendor', { admin: false, opcode: 0x80 }, true],
    ['Format NVM', { admin: true, opcode: 0x80 }, true],
    ['Sanitize', { admin: true, opcode: 0x84 }, true],
    ['Namespace Management', { admin: true, opcode: 0x0d }, true],
    ['an admin command of a vendor', { admin: true, opcode: 0xc0 }, true],
    ['a feature of a vendor', setFeature(0xc0, 0).command, true],
    ['a feature', setFeature(0x06, 0).command, false],
    ['a log', getLog(4, 4096).command, false],
    ['a reservation', acquire.command, false],
    ['Connect', connectCommand(), false],
  ])('data: %s', (_name, command, changes) => {
    expect(set.mayChangeData(command)).toBe(changes)
  })

  it('reservations: those that were successful', () => {
    for (const { command } of [acquire, reservationRegister(1, 0), reservationRelease(1, 0)]) {
      expect(set.changedReservations(command, ok)).toBe(true)
      expect(set.changedReservations(command, answer(CONFLICT))).toBe(false)
      expect(set.changedReservations({ ...command, admin: true }, ok)).toBe(false)
    }
    expect(set.changedReservations(reservationReport(1).command, ok)).toBe(false)
  })
})

function connectCommand(): NvmeCommand {
  return connect({ queue: 0, entries: 32, controller: 1, hostNqn: 'n', hostId: '0'.repeat(32), subNqn: 'n' }).command
}

it('judges any answer without an error', () => {
  const verdicts = new Set(Array.from({ length: 2 ** 16 }, (_, status) => set.verdict(answer(status))))
  expect(verdicts).toEqual(new Set(['ran', 'elsewhere']))
})
